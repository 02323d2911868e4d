import { randomUUIDv7 } from 'node:crypto';
import type { Body } from '@jogakbo/contract';
import { MemberRegistered, SignUp, SignUpRepeated } from '@jogakbo/contracts-identity';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { Hashing, internalSource } from './hashing.ts';
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
   * New and taken addresses get the same response after the same hash, statements and number of events. The owner of a
   * taken address receives a mail. Until addresses are confirmed, a later sign-in still reveals the difference.
   */
  @Handles(SignUp)
  async handle(command: Body<typeof SignUp>, { tx, publish, language, address }: UnitOfWork) {
    const weakness = findWeakness(command.password, command.email);
    if (weakness)
      throw SignUp.reject('weak-password', 'the password is too easy to guess: choose another one', [
        { path: 'password', message: weakness },
      ]);
    const network = address && toSource(address);
    // Before the first use of `tx`, so that no connection is held during the hash.
    const passwordHash = await this.hashing.hash(command.password, network ?? internalSource);
    const memberId = randomUUIDv7();
    const email = command.email.toLowerCase();
    const { name } = command;
    const ownerId = await addMember(tx, { memberId, email, name, passwordHash, roles: ['member'] });
    const mayMail = await this.mails.recordSignUp(tx, email, network);
    publish(
      ownerId === memberId
        ? MemberRegistered({ memberId, email, name, language, mayMail })
        : SignUpRepeated({ memberId: ownerId, language, mayMail }),
    );
    return { memberId };
  }
}
