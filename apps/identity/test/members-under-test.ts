import { RefreshSession, SignIn, SignUp } from '@jogakbo/contracts-identity';
import { ServiceUnderTest } from '@jogakbo/testing';
import type { JWTPayload } from 'jose';
import { IdentityModule } from '../src/identity.module.ts';
import { hashToken } from '../src/session.ts';

export const password = '조각보-correct-horse';

/** The service, with members that sign up and in. */
export class MembersUnderTest {
  identity: ServiceUnderTest;
  #count = 0;

  async start(): Promise<void> {
    this.identity = await ServiceUnderTest.start(IdentityModule, {
      TOKEN_ISSUER: 'https://store.example',
      LANGUAGES: 'ko,en',
      ROLES: 'moderator',
    });
  }

  async createMember(): Promise<{ email: string; memberId: string }> {
    const email = `member-${++this.#count}@example.com`;
    const { memberId } = await this.identity.ask(SignUp, { email, password, name: '김하나' });
    return { email, memberId };
  }

  signIn(email: string, typedPassword = password) {
    return this.identity.ask(SignIn, { email, password: typedPassword }, { timeout: 10_000 });
  }

  refresh(refreshToken: string) {
    return this.identity.ask(RefreshSession, { refreshToken });
  }

  setUsedSecondsAgo(token: string, seconds: number) {
    return this.identity.query(
      `UPDATE refresh_token SET used_at = now() - $2 * interval '1 second' WHERE token_hash = $1`,
      [hashToken(token), seconds],
    );
  }
}

export const toCaller = ({ sub, roles, sid }: JWTPayload) => ({
  caller: { memberId: sub!, roles: roles as string[], sessionId: sid as string },
});

export const rejected = { code: 'refresh-token-refused', status: 401 };
