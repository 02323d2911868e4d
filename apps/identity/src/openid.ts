import { GetJwks, GetOpenIdConfiguration } from '@jogakbo/contracts-identity';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { IdentitySettings } from './settings.ts';
import { algorithm, SigningKeys } from './signing-keys.ts';

/** What OpenID Connect Discovery 1.0 and RFC 7517 let anybody read who wants to verify a token. */
@Controller()
export class OpenIdHandler {
  constructor(
    private readonly keys: SigningKeys,
    private readonly settings: IdentitySettings,
  ) {}

  @Handles(GetJwks)
  jwks() {
    return { keys: this.keys.public };
  }

  /**
   * The store verifies through the standard but signs in through its own API: there is no authorization and no token
   * endpoint to name, and `none` is the registered response type that hands out nothing.
   */
  @Handles(GetOpenIdConfiguration)
  configuration() {
    const issuer = this.settings.tokenIssuer;
    return {
      issuer,
      jwks_uri: `${issuer}/.well-known/jwks.json`,
      response_types_supported: ['none'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: [algorithm],
      claims_supported: ['iss', 'aud', 'sub', 'sid', 'roles', 'auth_time', 'jti', 'iat', 'exp'],
    };
  }
}
