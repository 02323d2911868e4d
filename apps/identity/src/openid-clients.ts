import { json } from '@jogakbo/service';
import type { ClientMetadata } from 'oidc-provider';
import { z } from 'zod';
import { algorithm, audience, rsaAlgorithm } from './signing-keys.ts';

/** A code goes to nobody on the way: over TLS, or not over a network at all. */
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
    // Its ID tokens, of the same issuer and key, would pass for access tokens of the store.
    .refine((id) => id !== audience, 'is the audience of the store itself'),
  name: z.string().trim().min(1).max(100),
  /** Left out for a client that can keep none, such as an app on a telephone. */
  secret: z.string().min(32).max(200).optional(),
  redirectUris: z.array(redirectUri).min(1),
  /** How its ID tokens are signed. */
  idTokenAlgorithm: z.enum([algorithm, rsaAlgorithm]).default(algorithm),
});
export type OpenIdClient = z.output<typeof OpenIdClient>;

export const OpenIdClients = json(
  z
    .array(OpenIdClient)
    .refine(
      (all) => new Set(all.map(({ clientId }) => clientId)).size === all.length,
      'names a clientId twice',
    ),
);

/** The client that `npm start` writes into a fresh store, to try OpenID Connect with. It has no secret: anybody can be it. */
export const exampleClientId = 'example';

const isLoopback = (uri: string) => uri.startsWith('http://');

/** In the words of OpenID Connect Registration 1.0. On this machine an app takes whichever port is free (RFC 8252). */
export const clientMetadata = ({
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
