import { randomUUIDv7 } from 'node:crypto';
import { MemberRegistered } from '@jogakbo/contracts-identity';
import { UnitsOfWork } from '@jogakbo/consistency';
import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { recordAudit } from './audit.ts';
import { Hashing, internalSource } from './hashing.ts';
import { addMember, Member } from './member.ts';
import { revokeMemberTokens } from './revocations.ts';
import { endAllSessions } from './session.ts';
import { IdentitySettings } from './settings.ts';
import type { StaffAccount } from './staff.ts';

/** Creates or updates the accounts of the setting `staff` before the service accepts messages. */
@Injectable()
export class StaffAccounts implements OnApplicationBootstrap {
  constructor(
    private readonly dataSource: DataSource,
    private readonly units: UnitsOfWork,
    private readonly hashing: Hashing,
    private readonly settings: IdentitySettings,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    for (const account of this.settings.staff) await this.#ensure(account);
  }

  async #ensure({ email, name, password, roles }: StaffAccount): Promise<void> {
    const known = await this.dataSource.manager.findOneBy(Member, { email });
    const isSamePassword =
      known !== null && (await this.hashing.verify(password, known.passwordHash, internalSource));
    if (isSamePassword && known.name === name && String(known.roles) === String(roles)) return;
    const passwordHash = isSamePassword
      ? known.passwordHash
      : await this.hashing.hash(password, internalSource);

    await this.units.run(async (work) => {
      const { tx, publish, language } = work;
      const memberId = randomUUIDv7();
      if ((await addMember(tx, { memberId, email, name, passwordHash, roles })) === memberId) {
        publish(MemberRegistered({ memberId, email, name, language }));
        return;
      }
      await tx.update(Member, { email }, { name, passwordHash, roles });
      if (known && String(known.roles) !== String(roles)) {
        await revokeMemberTokens(work, known.memberId);
        const details = { from: known.roles, to: roles, reason: 'the setting STAFF' };
        await recordAudit(tx, 'roles-changed', { memberId: known.memberId, details });
      }
      // A session from another password must not gain these roles on refresh.
      if (known && !isSamePassword) await endAllSessions(work, known.memberId);
    });
  }
}
