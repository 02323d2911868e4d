import type { Body } from '@jogakbo/contract';
import { SignIn } from '@jogakbo/contracts-identity';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { AccessTokens } from './access-tokens.ts';
import { Member } from './member.ts';
import { nobodysHash, passwordFits } from './password.ts';
import { openSession } from './session.ts';

@Controller()
export class SignInHandler {
  constructor(
    private readonly dataSource: DataSource,
    private readonly accessTokens: AccessTokens,
  ) {}

  @Handles(SignIn)
  async handle({ email, password }: Body<typeof SignIn>, { tx }: UnitOfWork) {
    // Read and compared before the first use of `tx`: no connection is held while the hash takes its time.
    const member = await this.dataSource.manager.findOneBy(Member, { email: email.toLowerCase() });
    const fits = await passwordFits(password, member?.passwordHash ?? nobodysHash);
    if (!member || !fits) throw SignIn.reject('wrong-credentials', 'address or password is wrong');
    const { sessionId, refreshToken } = await openSession(tx, member.memberId);
    return this.accessTokens.issue(member, sessionId, refreshToken);
  }
}
