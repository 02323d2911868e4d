import { RotateSigningKey } from '@jogakbo/contracts-identity';
import type { Body } from '@jogakbo/contract';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { recordAudit } from './audit.ts';
import { SigningKeys } from './signing-keys.ts';

/** Longer than any verifier keeps a JWKS without asking again: when the key signs, everybody has it. */
const announcedFor = 15 * 60_000;

@Controller()
export class RotateSigningKeyHandler {
  constructor(private readonly keys: SigningKeys) {}

  /** Logs nobody out: the new key is published now and signs later, and the old one goes when its last token has expired. */
  @Handles(RotateSigningKey)
  async handle(_: Body<typeof RotateSigningKey>, { tx, caller, address }: UnitOfWork) {
    const [newest] = await this.keys.read(tx, 'lock');
    if (newest && newest.activeAt > new Date()) throw RotateSigningKey.reject('rotation-under-way');
    const { kid, activeAt } = await this.keys.add(tx, new Date(Date.now() + announcedFor));
    const details = { kid, activeAt: activeAt.toISOString() };
    await recordAudit(tx, 'signing-key-rotated', { by: caller.memberId, address, details });
    return details;
  }
}
