import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { SignJWT } from 'jose';
import type { Member } from './member.ts';
import { IdentitySettings } from './settings.ts';
import type { Session } from './session.ts';
import { accessTokenLifetime, algorithm, audience, SigningKeys } from './signing-keys.ts';

@Injectable()
export class AccessTokens {
  constructor(
    private readonly keys: SigningKeys,
    private readonly settings: IdentitySettings,
  ) {}

  /** Issues an access token and returns it with the given refresh token. */
  async issue({ memberId, roles, tokenGeneration }: Member, session: Session, refreshToken: string) {
    const { kid, privateKey } = this.keys.current;
    const now = toSeconds(Date.now());
    const expiresAt = Math.min(now + accessTokenLifetime, toSeconds(session.endsAt.getTime()));
    const accessToken = await new SignJWT({
      sid: session.sessionId,
      roles,
      gen: tokenGeneration,
      auth_time: toSeconds(session.authenticatedAt.getTime()),
    })
      .setProtectedHeader({ alg: algorithm, kid, typ: 'JWT' })
      .setIssuer(this.settings.tokenIssuer)
      .setAudience(audience)
      .setSubject(memberId)
      .setJti(randomUUID())
      .setIssuedAt(now)
      .setExpirationTime(expiresAt)
      .sign(privateKey);
    return { accessToken, tokenType: 'Bearer' as const, expiresIn: expiresAt - now, refreshToken };
  }
}

const toSeconds = (milliseconds: number) => Math.floor(milliseconds / 1_000);
