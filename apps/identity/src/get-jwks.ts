import { GetJwks } from '@jogakbo/contracts-identity';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { SigningKeys } from './signing-keys.ts';

/** Serves the public keys for token verification (RFC 7517). */
@Controller()
export class GetJwksHandler {
  constructor(private readonly keys: SigningKeys) {}

  @Handles(GetJwks)
  handle() {
    return { keys: this.keys.public };
  }
}
