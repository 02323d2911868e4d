import { ListRevocations, TokensRevoked, type Revocation } from '@jogakbo/contracts-identity';
import { eventually, type ServiceUnderTest } from '@jogakbo/testing';
import { Revocations } from '../src/revocations.ts';

/** Stands in for identity: tells which access tokens are revoked. */
export class StubbedIdentity {
  /** What a gateway that asks is told. */
  readonly listed: Revocation[] = [];
  revokedUntil: string | null = null;

  private constructor(private readonly gateway: ServiceUnderTest) {}

  /** Waits until the gateway has asked it: before that, it answers requests with a token 503. */
  static async start(gateway: ServiceUnderTest): Promise<StubbedIdentity> {
    const self = new StubbedIdentity(gateway);
    await gateway.stub('identity', [
      [ListRevocations, () => ({ revocations: self.listed, revokedUntil: self.revokedUntil })],
    ]);
    await eventually(() => gateway.get(Revocations).isCurrent);
    return self;
  }

  /** Announces a revocation, and lists it from now on. */
  async revoke(which: Partial<Revocation>): Promise<void> {
    const revoked = toRevocation(which);
    this.listed.unshift(revoked);
    await this.gateway.announce(TokensRevoked(revoked));
  }
}

export const toRevocation = (which: Partial<Revocation>): Revocation => ({
  memberId: '0190a5a0-0000-7000-8000-00000000000a',
  until: new Date(Date.now() + 660_000).toISOString(),
  ...which,
});
