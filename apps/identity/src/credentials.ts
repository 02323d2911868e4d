import { SignIn } from '@jogakbo/contracts-identity';
import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { recordAudit } from './audit.ts';
import { Hashing, inside } from './hashing.ts';
import { Member } from './member.ts';
import { nobodysHash } from './password.ts';
import { SignInLimits, toSource } from './sign-in-limits.ts';

/** What is typed in, as the contract has it. */
export const SignInForm = SignIn.input;

/** Address and password, wherever they are typed in. */
@Injectable()
export class Credentials {
  constructor(
    private readonly dataSource: DataSource,
    private readonly hashing: Hashing,
    private readonly limits: SignInLimits,
  ) {}

  /**
   * The member whose these are. Begins no transaction: nothing is held while the hash takes its time.
   * @param from the address of the request; services of the house that pass none are not limited
   * @throws Rejection `wrong-credentials`, `too-many-attempts`, `too-busy`: whether there is such an account shows in none
   */
  async check(email: string, password: string, from: string | undefined): Promise<Member> {
    const account = email.toLowerCase();
    const member = await this.dataSource.manager.findOneBy(Member, { email: account });
    const { memberId } = member ?? {};
    const address = from && toSource(from);
    const guard = address ? this.limits.guard({ email: account, address, memberId }) : undefined;
    const fits = await this.hashing.fits(
      password,
      member?.passwordHash ?? nobodysHash,
      address ?? inside,
      guard,
    );
    if (member && fits) return member;
    await recordAudit(this.dataSource.manager, 'sign-in-failed', { memberId, address });
    throw SignIn.reject('wrong-credentials', 'address or password is wrong');
  }

  /** Keeps that somebody has signed in. @param details of the sign-in, for the audit trail */
  async accepted(
    tx: EntityManager,
    { memberId, email }: Member,
    from: string | undefined,
    details: Record<string, unknown>,
  ): Promise<void> {
    const address = from && toSource(from);
    if (address) await this.limits.succeeded(tx, { email, address, memberId });
    await recordAudit(tx, 'signed-in', { memberId, address, details });
  }
}
