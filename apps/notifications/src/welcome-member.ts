import type { Body } from '@jogakbo/contract';
import { MemberRegistered } from '@jogakbo/contracts-identity';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { toTextLanguage } from './layout.ts';
import { writeMail } from './mail.ts';
import { Member } from './member.ts';
import { renderWelcome } from './templates.ts';

@Controller()
export class WelcomeMemberHandler {
  @Handles(MemberRegistered)
  async handle({ memberId, email, language, mayMail }: Body<typeof MemberRegistered>, work: UnitOfWork) {
    await work.tx.upsert(Member, { memberId, email, language }, ['memberId']);
    if (mayMail)
      await writeMail(work, { email }, 'welcome', renderWelcome({ language: toTextLanguage(language) }));
  }
}
