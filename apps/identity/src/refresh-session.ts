import type { Body } from '@jogakbo/contract';
import { RefreshSession } from '@jogakbo/contracts-identity';
import { Handles, type MessageContext } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource, IsNull, MoreThan, type EntityManager } from 'typeorm';
import { AccessTokens } from './access-tokens.ts';
import { recordAudit } from './audit.ts';
import { Member } from './member.ts';
import { endSessions, extendSession, hashToken, RefreshToken, Session } from './session.ts';

@Controller()
export class RefreshSessionHandler {
  constructor(
    private readonly dataSource: DataSource,
    private readonly accessTokens: AccessTokens,
  ) {}

  /**
   * Works in a transaction of its own and not in the unit of work, which a rejection rolls back: the end of a family
   * must hold although the answer is a "no".
   */
  @Handles(RefreshSession)
  async handle({ refreshToken }: Body<typeof RefreshSession>, { address }: MessageContext) {
    const next = await this.dataSource.transaction((tx) => rotate(tx, hashToken(refreshToken), address));
    if (!next) throw RefreshSession.reject('refresh-token-refused', 'sign in again');
    return this.accessTokens.issue(next.member, next.session, next.refreshToken);
  }
}

/** Uses a token up, and gives what follows it. A token that was used before ends its family instead. */
async function rotate(tx: EntityManager, tokenHash: string, address: string | undefined) {
  const now = new Date();
  // Of several at the same time the row lets one through; the others see it used, and are reuse.
  const { affected } = await tx.update(
    RefreshToken,
    { tokenHash, usedAt: IsNull(), expiresAt: MoreThan(now) },
    { usedAt: now },
  );
  const token = await tx.findOneBy(RefreshToken, { tokenHash });
  if (!token) return undefined;
  const { sessionId } = token;
  if (affected !== 1) {
    if (!token.usedAt || (await endSessions(tx, { sessionId })) === 0) return undefined;
    const { memberId } = await tx.findOneByOrFail(Session, { sessionId });
    await recordAudit(tx, 'refresh-token-reused', { memberId, address, details: { sessionId } });
    return undefined;
  }
  const refreshToken = await extendSession(tx, sessionId);
  if (!refreshToken) return undefined;
  const session = await tx.findOneByOrFail(Session, { sessionId });
  const { memberId } = session;
  // Read anew: who lost a role loses it with the next token.
  return { session, refreshToken, member: await tx.findOneByOrFail(Member, { memberId }) };
}
