import { GetOpenIdConfiguration } from '@jogakbo/contracts-identity';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { clientAuthMethods, endpoints, scopes } from './openid-provider.ts';
import { IdentitySettings } from './settings.ts';
import { algorithm, rsaAlgorithm } from './signing-keys.ts';

/** Serves the provider metadata of OpenID Connect Discovery 1.0. */
@Controller()
export class GetOpenIdConfigurationHandler {
  constructor(private readonly settings: IdentitySettings) {}

  /**
   * One document for verifiers of the store's access tokens and for OpenID Connect clients. Equals the document of the
   * library, without loading the library.
   */
  @Handles(GetOpenIdConfiguration)
  handle() {
    const issuer = this.settings.tokenIssuer;
    return {
      issuer,
      authorization_endpoint: issuer + endpoints.authorization,
      token_endpoint: issuer + endpoints.token,
      userinfo_endpoint: issuer + endpoints.userinfo,
      revocation_endpoint: issuer + endpoints.revocation,
      jwks_uri: issuer + endpoints.jwks,
      scopes_supported: scopes,
      response_types_supported: ['code'],
      response_modes_supported: ['form_post', 'fragment', 'query'],
      grant_types_supported: ['authorization_code', 'refresh_token'],
      code_challenge_methods_supported: ['S256'],
      token_endpoint_auth_methods_supported: [...clientAuthMethods],
      authorization_response_iss_parameter_supported: true,
      request_uri_parameter_supported: false,
      claims_parameter_supported: false,
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: [algorithm, rsaAlgorithm],
      claim_types_supported: ['normal'],
      claims_supported,
    };
  }
}

/** Claims of ID tokens and `userinfo`. `roles` and `jti` are in access tokens only. */
const claims_supported = [
  'iss',
  'aud',
  'sub',
  'sid',
  'auth_time',
  'iat',
  'exp',
  'name',
  'email',
  'email_verified',
  'roles',
  'jti',
];
