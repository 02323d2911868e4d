import { randomUUIDv7 } from 'node:crypto';
import { TokensRevoked, type Revocation } from '@jogakbo/contracts-identity';
import type { UnitOfWork } from '@jogakbo/consistency';
import { accessTokenLifetime } from './signing-keys.ts';

/** Seconds by which the clocks of this service and of a gateway may differ. */
const clockSkew = 60;

type Work = Pick<UnitOfWork, 'tx' | 'publish'>;

/** Revokes the access tokens of one session at all gateways. */
export const revokeSessionTokens = (work: Work, memberId: string, sessionId: string): Promise<void> =>
  revoke(work, { memberId, sessionId });

/**
 * Revokes all access tokens of a member issued before the commit, at all gateways. Increments the generation of the member,
 * which tokens carry, so no clocks are compared.
 */
export async function revokeMemberTokens(work: Work, memberId: string): Promise<void> {
  const [[member]] = await work.tx.query<[{ token_generation: number }[], number]>(
    'UPDATE member SET token_generation = token_generation + 1 WHERE member_id = $1 RETURNING token_generation',
    [memberId],
  );
  if (member) await revoke(work, { memberId, generation: member.token_generation });
}

async function revoke({ tx, publish }: Work, revoked: Omit<Revocation, 'until'>): Promise<void> {
  const { memberId, sessionId = null, generation = null } = revoked;
  const until = new Date(Date.now() + (accessTokenLifetime + clockSkew) * 1_000);
  await tx.query(
    'INSERT INTO revocation (revocation_id, member_id, session_id, generation, until) VALUES ($1, $2, $3, $4, $5)',
    [randomUUIDv7(), memberId, sessionId, generation, until],
  );
  publish(TokensRevoked({ ...revoked, until: until.toISOString() }));
}
