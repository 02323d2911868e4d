import type { Body } from '@jogakbo/contract';
import { SignOutEverywhere } from '@jogakbo/contracts-identity';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { recordAudit } from './audit.ts';
import { endAllSessions } from './session.ts';

@Controller()
export class SignOutEverywhereHandler {
  @Handles(SignOutEverywhere)
  async handle(_: Body<typeof SignOutEverywhere>, work: UnitOfWork) {
    const { tx, caller, address } = work;
    const { memberId } = caller;
    const sessions = await endAllSessions(work, memberId);
    await recordAudit(tx, 'signed-out-everywhere', { memberId, address, details: { sessions } });
  }
}
