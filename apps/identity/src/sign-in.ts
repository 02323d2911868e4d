import type { Body } from '@jogakbo/contract';
import { SignIn } from '@jogakbo/contracts-identity';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { AccessTokens } from './access-tokens.ts';
import { Credentials } from './credentials.ts';
import { openSession } from './session.ts';
import { IdentitySettings } from './settings.ts';

@Controller()
export class SignInHandler {
  constructor(
    private readonly credentials: Credentials,
    private readonly accessTokens: AccessTokens,
    private readonly settings: IdentitySettings,
  ) {}

  @Handles(SignIn)
  async handle({ email, password }: Body<typeof SignIn>, { tx, address }: UnitOfWork) {
    // Before the first use of `tx`, so that no connection is held during the hash.
    const member = await this.credentials.check(email, password, address);
    const { session, refreshToken } = await openSession(tx, member.memberId, this.settings.sessionDays);
    await this.credentials.recordSignIn(tx, member, address, { sessionId: session.sessionId });
    return this.accessTokens.issue(member, session, refreshToken);
  }
}
