import { randomUUIDv7 } from 'node:crypto';
import type { Body } from '@jogakbo/contract';
import { MemberRegistered, SignUp, SignUpRepeated } from '@jogakbo/contracts-identity';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { Hashing, inside } from './hashing.ts';
import { addMember } from './member.ts';
import { toSource } from './sign-in-limits.ts';
import { SignUpMails } from './sign-up-mails.ts';
import { findWeakness } from './weak-passwords.ts';

@Controller()
export class SignUpHandler {
  constructor(
    private readonly hashing: Hashing,
    private readonly mails: SignUpMails,
  ) {}

  /**
   * A taken address gets the answer of a fresh one, after the same hash, the same statements and one event. The member is
   * told by mail instead. Until addresses are confirmed, a sign-in that follows still shows which of the two it was.
   */
  @Handles(SignUp)
  async handle(command: Body<typeof SignUp>, { tx, publish, language, address }: UnitOfWork) {
    const weakness = findWeakness(command.password, command.email);
    if (weakness)
      throw SignUp.reject('weak-password', 'the password is too easy to guess', [
        { path: 'password', message: weakness },
      ]);
    const network = address && toSource(address);
    // Before the first use of `tx`: no connection is held while this takes its time.
    const passwordHash = await this.hashing.hash(command.password, network ?? inside);
    const memberId = randomUUIDv7();
    const email = command.email.toLowerCase();
    const { name } = command;
    const holder = await addMember(tx, { memberId, email, name, passwordHash, roles: ['member'] });
    const mayMail = await this.mails.mayMail(tx, email, network);
    publish(
      holder === memberId
        ? MemberRegistered({ memberId, email, name, language, mayMail })
        : SignUpRepeated({ memberId: holder, language, mayMail }),
    );
    return { memberId };
  }
}
