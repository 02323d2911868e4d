import { RotateSigningKey } from '@jogakbo/contracts-identity';
import type { Body } from '@jogakbo/contract';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { recordAudit } from './audit.ts';
import { SigningKeys } from './signing-keys.ts';

/** Milliseconds. Exceeds the JWKS cache time of all verifiers, so they have the key before it signs. */
const activationDelayMs = 15 * 60_000;

@Controller()
export class RotateSigningKeyHandler {
  constructor(private readonly keys: SigningKeys) {}

  /** Ends no session: the new key is published now and signs later. The old key is deleted after its last token expires. */
  @Handles(RotateSigningKey)
  async handle(_: Body<typeof RotateSigningKey>, { tx, caller, address }: UnitOfWork) {
    const [newest] = await this.keys.read(tx, 'lock');
    if (newest && newest.activeAt > new Date()) throw RotateSigningKey.reject('rotation-under-way');
    const { kid, activeAt } = await this.keys.add(tx, new Date(Date.now() + activationDelayMs));
    const details = { kid, activeAt: activeAt.toISOString() };
    await recordAudit(tx, 'signing-key-rotated', { by: caller.memberId, address, details });
    return details;
  }
}
