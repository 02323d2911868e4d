import type { Body } from '@jogakbo/contract';
import { ChangeRoles } from '@jogakbo/contracts-identity';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { recordAudit } from './audit.ts';
import { Member } from './member.ts';
import { revokeMemberTokens } from './revocations.ts';

@Controller()
export class ChangeRolesHandler {
  /** Tokens carry the roles of their time: those issued before are refused from now on, and a refresh gives the new roles. */
  @Handles(ChangeRoles)
  async handle({ memberId, roles: wanted }: Body<typeof ChangeRoles>, work: UnitOfWork) {
    const { tx, caller, address } = work;
    const member = await tx.findOne(Member, { where: { memberId }, lock: { mode: 'pessimistic_write' } });
    if (!member) throw ChangeRoles.reject('unknown-member');
    const roles = [...new Set(wanted)];
    await tx.update(Member, { memberId }, { roles });
    if (String(roles) !== String(member.roles)) await revokeMemberTokens(work, memberId);
    const details = { from: member.roles, to: roles };
    await recordAudit(tx, 'roles-changed', { memberId, by: caller.memberId, address, details });
    return { memberId, roles };
  }
}
