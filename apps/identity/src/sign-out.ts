import type { Body } from '@jogakbo/contract';
import { SignOut } from '@jogakbo/contracts-identity';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { recordAudit } from './audit.ts';
import { endSession } from './session.ts';

@Controller()
export class SignOutHandler {
  @Handles(SignOut)
  async handle(_: Body<typeof SignOut>, work: UnitOfWork) {
    const { tx, caller, address } = work;
    const { memberId, sessionId } = caller;
    if (!sessionId || !(await endSession(work, sessionId))) return;
    await recordAudit(tx, 'signed-out', { memberId, address, details: { sessionId } });
  }
}
