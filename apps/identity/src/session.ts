import { createHash, createHmac, randomBytes, randomUUIDv7 } from 'node:crypto';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Column, Entity, IsNull, MoreThan, PrimaryColumn, type EntityManager } from 'typeorm';
import { revokeMemberTokens, revokeSessionTokens } from './revocations.ts';

const day = 24 * 60 * 60 * 1_000;
/** How long a refresh token lives. */
const lifetime = 30 * day;

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

  /** No token of it lives longer, however often it is refreshed. */
  @Column('timestamptz', { name: 'ends_at' })
  endsAt: Date;

  /** Derives each refresh token from the one before. Useless without a refresh token, which is not stored. */
  @Column('bytea', { name: 'rotation_key' })
  rotationKey: Buffer;
}

/** Kept by its hash alone: a reader of the database cannot use it. A used one stays, to be recognised. */
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

/**
 * The refresh token that follows a used one. Computed, so that it can be given again and need not be stored: it takes
 * both the used token, which only the client has, and the key of the session, which only the database has.
 */
export const getSuccessor = ({ rotationKey }: Session, used: string) =>
  createHmac('sha256', rotationKey).update(used).digest('base64url');

/**
 * Begins a session with its first refresh token.
 * @param days after which it ends, however often it is refreshed
 */
export async function openSession(tx: EntityManager, memberId: string, days: number) {
  const authenticatedAt = new Date();
  const endsAt = new Date(authenticatedAt.getTime() + days * day);
  const session: Session = {
    ...{ sessionId: randomUUIDv7(), memberId, endedAt: null, authenticatedAt, endsAt },
    ...{ expiresAt: getExpiry(endsAt), rotationKey: randomBytes(32) },
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

/** Ends one session with all its tokens. Returns whose it was, or undefined if it had ended before. */
export async function endSession(work: Work, sessionId: string): Promise<string | undefined> {
  const [[ended]] = await work.tx.query<[{ member_id: string }[], number]>(
    'UPDATE session SET ended_at = now() WHERE session_id = $1 AND ended_at IS NULL RETURNING member_id',
    [sessionId],
  );
  if (ended) await revokeSessionTokens(work, ended.member_id, sessionId);
  return ended?.member_id;
}

/** Ends all sessions of a member with all their tokens, those of partners included. Returns how many there were. */
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
    ...{ tokenHash: hashToken(token), sessionId },
    ...{ expiresAt: getExpiry(endsAt), usedAt: null },
  });
}

const getExpiry = (endsAt: Date) => new Date(Math.min(Date.now() + lifetime, endsAt.getTime()));
