import { platformRejection, type Body } from '@jogakbo/contract';
import { ChangeRoles } from '@jogakbo/contracts-identity';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { recordAudit } from './audit.ts';
import { Member } from './member.ts';
import { revokeMemberTokens } from './revocations.ts';
import { findUnknownRole } from './roles.ts';
import { IdentitySettings } from './settings.ts';

@Controller()
export class ChangeRolesHandler {
  constructor(private readonly settings: IdentitySettings) {}

  /** Tokens contain the roles at issue. This revokes earlier access tokens; a refresh returns the new roles. */
  @Handles(ChangeRoles)
  async handle({ memberId, roles: requested }: Body<typeof ChangeRoles>, work: UnitOfWork) {
    const { tx, caller, address } = work;
    const unknown = findUnknownRole(requested, this.settings.roles);
    if (unknown) {
      const { index, message } = unknown;
      throw platformRejection('invalid', 'contains an unknown role', [{ path: `roles.${index}`, message }]);
    }
    const member = await tx.findOne(Member, { where: { memberId }, lock: { mode: 'pessimistic_write' } });
    if (!member) throw ChangeRoles.reject('unknown-member');
    const roles = [...new Set(requested)];
    await tx.update(Member, { memberId }, { roles });
    if (String(roles) !== String(member.roles)) await revokeMemberTokens(work, memberId);
    const details = { from: member.roles, to: roles };
    await recordAudit(tx, 'roles-changed', { memberId, by: caller.memberId, address, details });
    return { memberId, roles };
  }
}
