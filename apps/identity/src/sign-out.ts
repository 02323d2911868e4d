import type { Body } from '@jogakbo/contract';
import { SignOut, SignOutEverywhere } from '@jogakbo/contracts-identity';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { recordAudit } from './audit.ts';
import { endSessions } from './session.ts';

@Controller()
export class SignOutHandler {
  @Handles(SignOut)
  async here(_: Body<typeof SignOut>, { tx, caller, address }: UnitOfWork) {
    const { memberId, sessionId } = caller;
    if (!sessionId || (await endSessions(tx, { sessionId })) === 0) return;
    await recordAudit(tx, 'signed-out', { memberId, address, details: { sessionId } });
  }

  @Handles(SignOutEverywhere)
  async everywhere(_: Body<typeof SignOutEverywhere>, { tx, caller, address }: UnitOfWork) {
    const { memberId } = caller;
    const sessions = await endSessions(tx, { memberId });
    await recordAudit(tx, 'signed-out-everywhere', { memberId, address, details: { sessions } });
  }
}
