import type { Body } from '@jogakbo/contract';
import { ChangeRoles } from '@jogakbo/contracts-identity';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { recordAudit } from './audit.ts';
import { Member } from './member.ts';

@Controller()
export class ChangeRolesHandler {
  /** Tokens have the roles of the time they were made: what is taken away is gone when the last of them expires. */
  @Handles(ChangeRoles)
  async handle({ memberId, roles: wanted }: Body<typeof ChangeRoles>, { tx, caller, address }: UnitOfWork) {
    const member = await tx.findOne(Member, { where: { memberId }, lock: { mode: 'pessimistic_write' } });
    if (!member) throw ChangeRoles.reject('unknown-member');
    const roles = [...new Set(wanted)];
    await tx.update(Member, { memberId }, { roles });
    const details = { from: member.roles, to: roles };
    await recordAudit(tx, 'roles-changed', { memberId, by: caller.memberId, address, details });
    return { memberId, roles };
  }
}
