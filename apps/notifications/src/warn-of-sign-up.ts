import type { Body } from '@jogakbo/contract';
import { SignUpRepeated } from '@jogakbo/contracts-identity';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { toTextLanguage } from './layout.ts';
import { writeMail } from './mail.ts';
import { findMember } from './member.ts';
import { renderSignUpRepeated } from './templates.ts';

@Controller()
export class WarnOfSignUpHandler {
  @Handles(SignUpRepeated)
  async handle({ memberId, language, mayMail }: Body<typeof SignUpRepeated>, work: UnitOfWork) {
    if (!mayMail) return;
    const member = await findMember(work.tx, memberId);
    await writeMail(
      work,
      member,
      'sign-up-repeated',
      renderSignUpRepeated({ language: toTextLanguage(language) }),
    );
  }
}
