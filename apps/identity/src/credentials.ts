import { SignIn } from '@jogakbo/contracts-identity';
import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { recordAudit } from './audit.ts';
import { Hashing, internalSource } from './hashing.ts';
import { Member } from './member.ts';
import { dummyHash } from './password.ts';
import { SignInLimits, toSource } from './sign-in-limits.ts';

/** The input schema of the contract. */
export const SignInForm = SignIn.input;

/** Checks email and password for the API and the OpenID Connect pages. */
@Injectable()
export class Credentials {
  constructor(
    private readonly dataSource: DataSource,
    private readonly hashing: Hashing,
    private readonly limits: SignInLimits,
  ) {}

  /**
   * Returns the member with these credentials. Begins no transaction, so no connection is held during the hash.
   * @param from the client address; internal calls without one are not limited
   * @throws Rejection `wrong-credentials`, `too-many-attempts`, `too-busy`: none reveals whether the account exists
   */
  async check(email: string, password: string, from: string | undefined): Promise<Member> {
    const account = email.toLowerCase();
    const member = await this.dataSource.manager.findOneBy(Member, { email: account });
    const { memberId } = member ?? {};
    const address = from && toSource(from);
    const guard = address ? this.limits.guard({ email: account, address, memberId }) : undefined;
    const isCorrect = await this.hashing.verify(
      password,
      member?.passwordHash ?? dummyHash,
      address ?? internalSource,
      guard,
    );
    if (member && isCorrect) return member;
    await recordAudit(this.dataSource.manager, 'sign-in-failed', { memberId, address });
    throw SignIn.reject('wrong-credentials', 'address or password is wrong');
  }

  /** Records a successful sign-in. @param details for the audit trail */
  async recordSignIn(
    tx: EntityManager,
    { memberId, email }: Member,
    from: string | undefined,
    details: Record<string, unknown>,
  ): Promise<void> {
    const address = from && toSource(from);
    if (address) await this.limits.recordSuccess(tx, { email, address, memberId });
    await recordAudit(tx, 'signed-in', { memberId, address, details });
  }
}
