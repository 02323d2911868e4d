import { createHash, randomBytes, randomUUIDv7 } from 'node:crypto';
import { Column, Entity, IsNull, PrimaryColumn, type EntityManager } from 'typeorm';

const lifetime = 30 * 24 * 60 * 60 * 1_000;

/** One sign-in and all refresh tokens that came of it: the family that a reused token ends. */
@Entity('session')
export class Session {
  @PrimaryColumn('uuid', { name: 'session_id' })
  sessionId: string;

  @Column('uuid', { name: 'member_id' })
  memberId: string;

  /** When its newest refresh token expires. */
  @Column('timestamptz', { name: 'expires_at' })
  expiresAt: Date;

  @Column('timestamptz', { name: 'ended_at', nullable: true })
  endedAt: Date | null;

  /** When the member last proved to be it; a refresh proves nothing. */
  @Column('timestamptz', { name: 'authenticated_at' })
  authenticatedAt: Date;
}

/** Kept by its hash alone: whoever reads the database cannot use it. A used one stays, to be recognised. */
@Entity('refresh_token')
export class RefreshToken {
  @PrimaryColumn('text', { name: 'token_hash' })
  tokenHash: string;

  @Column('uuid', { name: 'session_id' })
  sessionId: string;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt: Date;

  @Column('timestamptz', { name: 'used_at', nullable: true })
  usedAt: Date | null;
}

/** 256 random bits need no salt and no slow hash. */
export const hashToken = (token: string) => createHash('sha256').update(token).digest('base64url');

/** Begins a session with its first refresh token. */
export async function openSession(tx: EntityManager, memberId: string) {
  const sessionId = randomUUIDv7();
  const authenticatedAt = new Date();
  const session: Session = { sessionId, memberId, expiresAt: newExpiry(), endedAt: null, authenticatedAt };
  await tx.insert(Session, session);
  return { session, refreshToken: await addToken(tx, sessionId) };
}

/** Goes on with a session by a further refresh token. Gives nothing where the session has ended meanwhile. */
export async function extendSession(tx: EntityManager, sessionId: string): Promise<string | undefined> {
  const open = { sessionId, endedAt: IsNull() };
  const { affected } = await tx.update(Session, open, { expiresAt: newExpiry() });
  return affected === 1 ? addToken(tx, sessionId) : undefined;
}

/** Ends sessions for good, and says how many; access tokens given out before run out by themselves. */
export async function endSessions(
  tx: EntityManager,
  which: { sessionId: string } | { memberId: string },
): Promise<number> {
  const { affected } = await tx.update(Session, { ...which, endedAt: IsNull() }, { endedAt: new Date() });
  // At the doors of others, too.
  if ('memberId' in which)
    await tx.query('DELETE FROM openid_record WHERE account_id = $1', [which.memberId]);
  return affected ?? 0;
}

async function addToken(tx: EntityManager, sessionId: string): Promise<string> {
  const token = randomBytes(32).toString('base64url');
  await tx.insert(RefreshToken, {
    ...{ tokenHash: hashToken(token), sessionId },
    ...{ expiresAt: newExpiry(), usedAt: null },
  });
  return token;
}

const newExpiry = () => new Date(Date.now() + lifetime);
