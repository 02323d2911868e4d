import type { Body } from '@jogakbo/contract';
import { SignOut } from '@jogakbo/contracts-identity';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { endSessions } from './session.ts';

@Controller()
export class SignOutHandler {
  @Handles(SignOut)
  async handle(_: Body<typeof SignOut>, { tx, caller }: UnitOfWork) {
    if (caller.sessionId) await endSessions(tx, { sessionId: caller.sessionId });
  }
}
