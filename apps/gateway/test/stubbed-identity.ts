import { ListRevocations, TokensRevoked, type Revocation } from '@jogakbo/contracts-identity';
import { eventually, type ServiceUnderTest } from '@jogakbo/testing';
import { Revocations } from '../src/revocations.ts';

/** A stub of identity that reports revoked access tokens. */
export class StubbedIdentity {
  /** The reply to `identity.list-revocations`. */
  readonly listed: Revocation[] = [];
  revokedUntil: string | null = null;

  private constructor(private readonly gateway: ServiceUnderTest) {}

  /** Waits until the gateway has loaded the list. Until then it returns 503 for requests with a token. */
  static async start(gateway: ServiceUnderTest): Promise<StubbedIdentity> {
    const self = new StubbedIdentity(gateway);
    await gateway.stub('identity', [
      [ListRevocations, () => ({ revocations: self.listed, revokedUntil: self.revokedUntil })],
    ]);
    await eventually(() => gateway.get(Revocations).isCurrent);
    return self;
  }

  /** Publishes a revocation and adds it to the list. */
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
