import type { Body } from '@jogakbo/contract';
import { SignOut, SignOutEverywhere } from '@jogakbo/contracts-identity';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { recordAudit } from './audit.ts';
import { endAllSessions, endSession } from './session.ts';

@Controller()
export class SignOutHandler {
  @Handles(SignOut)
  async signOut(_: Body<typeof SignOut>, work: UnitOfWork) {
    const { tx, caller, address } = work;
    const { memberId, sessionId } = caller;
    if (!sessionId || !(await endSession(work, sessionId))) return;
    await recordAudit(tx, 'signed-out', { memberId, address, details: { sessionId } });
  }

  @Handles(SignOutEverywhere)
  async signOutEverywhere(_: Body<typeof SignOutEverywhere>, work: UnitOfWork) {
    const { tx, caller, address } = work;
    const { memberId } = caller;
    const sessions = await endAllSessions(work, memberId);
    await recordAudit(tx, 'signed-out-everywhere', { memberId, address, details: { sessions } });
  }
}
