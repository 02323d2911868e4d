import { randomUUIDv7 } from 'node:crypto';
import type { Body } from '@jogakbo/contract';
import { MemberRegistered, SignUp, SignUpRepeated } from '@jogakbo/contracts-identity';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { Hashing, inside } from './hashing.ts';
import { addMember, Member } from './member.ts';
import { sourceOf } from './sign-in-limits.ts';

@Controller()
export class SignUpHandler {
  constructor(private readonly hashing: Hashing) {}

  /**
   * A taken address gets the answer of a fresh one, after the same work: nobody can find out who is a member. The
   * member is told by mail instead.
   */
  @Handles(SignUp)
  async handle(command: Body<typeof SignUp>, { tx, publish, language, address }: UnitOfWork) {
    // Before the first use of `tx`: no connection is held while this takes its time.
    const passwordHash = await this.hashing.hash(command.password, address ? sourceOf(address) : inside);
    const memberId = randomUUIDv7();
    const email = command.email.toLowerCase();
    const { name } = command;
    if (await addMember(tx, { memberId, email, name, passwordHash, roles: ['member'] })) {
      publish(MemberRegistered({ memberId, email, name, language }));
    } else {
      const known = await tx.findOneByOrFail(Member, { email });
      publish(SignUpRepeated({ memberId: known.memberId, language }));
    }
    return { memberId };
  }
}
