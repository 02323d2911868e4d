import { platformRejection } from '@jogakbo/contract';
import { GetMemberEmail } from '@jogakbo/contracts-identity';
import type { UnitOfWork } from '@jogakbo/consistency';
import type { Ask } from '@jogakbo/messaging';

/** Returns the operator's email, or the member id if identity is unavailable. Called before the transaction begins. */
export async function identifyOperator(ask: Ask, { caller }: UnitOfWork): Promise<string> {
  if (!caller.has('operator')) throw platformRejection('forbidden', 'requires the role operator');
  return ask(GetMemberEmail, { memberId: caller.memberId }, { timeout: 1_000 }).then(
    ({ email }) => email,
    () => caller.memberId,
  );
}
