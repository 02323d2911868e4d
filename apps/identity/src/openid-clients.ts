import { json } from '@jogakbo/service';
import type { ClientMetadata } from 'oidc-provider';
import { z } from 'zod';
import { algorithm, audience, rsaAlgorithm } from './signing-keys.ts';

/** Authorization codes travel over TLS, or stay on one machine. */
const redirectUri = z
  .url()
  .regex(
    /^(https:\/\/|http:\/\/(localhost|127\.0\.0\.1|\[::1\])[:/])[^#]*$/,
    'https, or http on this machine; no fragment',
  );

const OpenIdClient = z.strictObject({
  clientId: z
    .string()
    .regex(/^[\w.-]{1,100}$/, 'letters, digits, dots and dashes')
    // Otherwise its ID tokens, with the same issuer and key, would be valid access tokens of the store.
    .refine((id) => id !== audience, 'is reserved: it is the audience of the store'),
  name: z.string().trim().min(1).max(100),
  /** Omitted for public clients, such as a mobile app (RFC 6749, 2.1). */
  secret: z.string().min(32).max(200).optional(),
  redirectUris: z.array(redirectUri).min(1),
  /** The signature algorithm of its ID tokens. */
  idTokenAlgorithm: z.enum([algorithm, rsaAlgorithm]).default(algorithm),
});
export type OpenIdClient = z.output<typeof OpenIdClient>;

export const OpenIdClients = json(
  z
    .array(OpenIdClient)
    .refine(
      (all) => new Set(all.map(({ clientId }) => clientId)).size === all.length,
      'contains a clientId twice',
    ),
);

/** The example client that `npm start` creates in a new store. It has no secret, so any app can impersonate it. */
export const exampleClientId = 'example';

const isLoopback = (uri: string) => uri.startsWith('http://');

/** Client metadata of OpenID Connect Registration 1.0. Native apps may use any loopback port (RFC 8252). */
export const toClientMetadata = ({
  clientId,
  name,
  secret,
  redirectUris,
  idTokenAlgorithm,
}: OpenIdClient): ClientMetadata => ({
  client_id: clientId,
  client_name: name,
  redirect_uris: redirectUris,
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  application_type: redirectUris.every(isLoopback) ? 'native' : 'web',
  id_token_signed_response_alg: idTokenAlgorithm,
  ...(secret
    ? { client_secret: secret, token_endpoint_auth_method: 'client_secret_basic' }
    : { token_endpoint_auth_method: 'none' }),
});
