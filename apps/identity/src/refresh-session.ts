import type { Body } from '@jogakbo/contract';
import { RefreshSession } from '@jogakbo/contracts-identity';
import { UnitsOfWork, type UnitOfWork } from '@jogakbo/consistency';
import { Handles, type MessageContext } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { IsNull, MoreThan } from 'typeorm';
import { AccessTokens } from './access-tokens.ts';
import { recordAudit } from './audit.ts';
import { Member } from './member.ts';
import { endSession, extendSession, getSuccessor, hashToken, RefreshToken, Session } from './session.ts';
import { IdentitySettings } from './settings.ts';

@Controller()
export class RefreshSessionHandler {
  constructor(
    private readonly units: UnitsOfWork,
    private readonly accessTokens: AccessTokens,
    private readonly settings: IdentitySettings,
  ) {}

  /**
   * Uses its own unit of work. A rejection rolls back that of the message, but the end of a session must be committed.
   */
  @Handles(RefreshSession)
  async handle({ refreshToken }: Body<typeof RefreshSession>, { address }: MessageContext) {
    const next = await this.units.run((work) => this.#rotate(work, refreshToken, address));
    if (!next)
      throw RefreshSession.reject('refresh-token-refused', 'the refresh token is not valid: sign in again');
    return this.accessTokens.issue(next.member, next.session, next.refreshToken);
  }

  /**
   * Consumes a token and returns its successor. Within the grace period a used token returns the same successor again, so
   * that two browser tabs can refresh at the same time. After it, a used token ends its session.
   */
  async #rotate(work: UnitOfWork, token: string, address: string | undefined) {
    const { tx } = work;
    const now = new Date();
    const tokenHash = hashToken(token);
    // Of several concurrent requests one updates the row. The others find the token used.
    const { affected } = await tx.update(
      RefreshToken,
      { tokenHash, usedAt: IsNull(), expiresAt: MoreThan(now) },
      { usedAt: now },
    );
    const found = await tx.findOneBy(RefreshToken, { tokenHash });
    if (!found) return undefined;
    const { sessionId, usedAt } = found;
    const session = await tx.findOneByOrFail(Session, { sessionId });
    let refreshToken: string | undefined;
    if (affected === 1) refreshToken = await extendSession(tx, session, token);
    else if (usedAt && now.getTime() - usedAt.getTime() > this.settings.refreshGrace * 1_000) {
      const memberId = await endSession(work, sessionId);
      if (memberId)
        await recordAudit(tx, 'refresh-token-reused', { memberId, address, details: { sessionId } });
    } else if (usedAt && !session.endedAt && session.endsAt > now)
      refreshToken = getSuccessor(session, token);
    if (!refreshToken) return undefined;
    // Read again, so that the next token has the current roles.
    const member = await tx.findOneByOrFail(Member, { memberId: session.memberId });
    return { session, refreshToken, member };
  }
}
