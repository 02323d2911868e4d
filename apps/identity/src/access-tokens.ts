import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { SignJWT } from 'jose';
import type { Member } from './member.ts';
import { IdentitySettings } from './settings.ts';
import type { Session } from './session.ts';
import { algorithm, audience, SigningKeys } from './signing-keys.ts';

/** In seconds. A session that was ended lives on for this long at most. */
const lifetime = 600;

@Injectable()
export class AccessTokens {
  constructor(
    private readonly keys: SigningKeys,
    private readonly settings: IdentitySettings,
  ) {}

  /** A fresh access token beside the given refresh token, as the member's sign-in is answered. */
  async issue({ memberId, roles }: Member, session: Session, refreshToken: string) {
    const { kid, privateKey } = this.keys.current;
    const now = seconds(Date.now());
    const accessToken = await new SignJWT({
      sid: session.sessionId,
      roles,
      auth_time: seconds(session.authenticatedAt.getTime()),
    })
      .setProtectedHeader({ alg: algorithm, kid, typ: 'JWT' })
      .setIssuer(this.settings.tokenIssuer)
      .setAudience(audience)
      .setSubject(memberId)
      .setJti(randomUUID())
      .setIssuedAt(now)
      .setExpirationTime(now + lifetime)
      .sign(privateKey);
    return { accessToken, tokenType: 'Bearer' as const, expiresIn: lifetime, refreshToken };
  }
}

const seconds = (milliseconds: number) => Math.floor(milliseconds / 1_000);
