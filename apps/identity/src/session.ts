import { createHash, createHmac, randomBytes, randomUUIDv7 } from 'node:crypto';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Column, Entity, IsNull, MoreThan, PrimaryColumn, type EntityManager } from 'typeorm';
import { revokeMemberTokens, revokeSessionTokens } from './revocations.ts';

const day = 24 * 60 * 60 * 1_000;
/** Milliseconds until a refresh token expires. */
const lifetime = 30 * day;

/** One sign-in with its refresh token family. Reuse of a token ends the session. */
@Entity('session')
export class Session {
  @PrimaryColumn('uuid', { name: 'session_id' })
  sessionId: string;

  @Column('uuid', { name: 'member_id' })
  memberId: string;

  /** Expiry of its newest refresh token. */
  @Column('timestamptz', { name: 'expires_at' })
  expiresAt: Date;

  @Column('timestamptz', { name: 'ended_at', nullable: true })
  endedAt: Date | null;

  /** Time of the last authentication. A refresh does not change it. */
  @Column('timestamptz', { name: 'authenticated_at' })
  authenticatedAt: Date;

  /** Absolute expiry: no token of the session outlives it. */
  @Column('timestamptz', { name: 'ends_at' })
  endsAt: Date;

  /** Derives each refresh token from its predecessor, which is not stored. */
  @Column('bytea', { name: 'rotation_key' })
  rotationKey: Buffer;
}

/** Stored as a hash only, so a database leak reveals no token. Used tokens are kept to detect reuse. */
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

/** Needs no salt and no slow hash: tokens are 256 random bits. */
export const hashToken = (token: string) => createHash('sha256').update(token).digest('base64url');

/**
 * Derives the successor of a used refresh token, so that it can be sent again without being stored. The derivation needs
 * the used token, which only the client has, and the session key, which only the database has.
 */
export const getSuccessor = ({ rotationKey }: Session, used: string) =>
  createHmac('sha256', rotationKey).update(used).digest('base64url');

/**
 * Begins a session with its first refresh token.
 * @param days until its absolute expiry
 */
export async function openSession(tx: EntityManager, memberId: string, days: number) {
  const authenticatedAt = new Date();
  const endsAt = new Date(authenticatedAt.getTime() + days * day);
  const session: Session = {
    sessionId: randomUUIDv7(),
    memberId,
    endedAt: null,
    authenticatedAt,
    endsAt,
    expiresAt: getExpiry(endsAt),
    rotationKey: randomBytes(32),
  };
  await tx.insert(Session, session);
  const refreshToken = randomBytes(32).toString('base64url');
  await addToken(tx, session, refreshToken);
  return { session, refreshToken };
}

/** Adds the successor of a used token to its session. Returns undefined if the session has ended. */
export async function extendSession(
  tx: EntityManager,
  session: Session,
  used: string,
): Promise<string | undefined> {
  const open = { sessionId: session.sessionId, endedAt: IsNull(), endsAt: MoreThan(new Date()) };
  const { affected } = await tx.update(Session, open, { expiresAt: getExpiry(session.endsAt) });
  if (affected !== 1) return undefined;
  const successor = getSuccessor(session, used);
  await addToken(tx, session, successor);
  return successor;
}

type Work = Pick<UnitOfWork, 'tx' | 'publish'>;

/** Ends one session and its tokens. @returns the member id, or undefined if the session had already ended */
export async function endSession(work: Work, sessionId: string): Promise<string | undefined> {
  const [[ended]] = await work.tx.query<[{ member_id: string }[], number]>(
    'UPDATE session SET ended_at = now() WHERE session_id = $1 AND ended_at IS NULL RETURNING member_id',
    [sessionId],
  );
  if (ended) await revokeSessionTokens(work, ended.member_id, sessionId);
  return ended?.member_id;
}

/** Ends all sessions and tokens of a member, including those of partners. @returns the number of sessions */
export async function endAllSessions(work: Work, memberId: string): Promise<number> {
  await revokeMemberTokens(work, memberId);
  const { affected } = await work.tx.update(
    Session,
    { memberId, endedAt: IsNull() },
    { endedAt: new Date() },
  );
  await work.tx.query('DELETE FROM openid_record WHERE account_id = $1', [memberId]);
  return affected ?? 0;
}

async function addToken(tx: EntityManager, { sessionId, endsAt }: Session, token: string): Promise<void> {
  await tx.insert(RefreshToken, {
    tokenHash: hashToken(token),
    sessionId,
    expiresAt: getExpiry(endsAt),
    usedAt: null,
  });
}

const getExpiry = (endsAt: Date) => new Date(Math.min(Date.now() + lifetime, endsAt.getTime()));
