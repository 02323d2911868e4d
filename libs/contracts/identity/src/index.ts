import {
  Id,
  Language,
  lineOfText,
  createPageSchema,
  pageQuery,
  RoleName,
  sensitive,
  service,
  Timestamp,
} from '@jogakbo/contract';
import { z } from 'zod';

export const identity = service('identity', 'Members, their sign-in and their tokens.');

const Email = z.email().max(254);
/** RFC 5321, section 4.5.3.1.1: a local part of at most 64 octets. Older accounts with longer addresses can still sign in. */
const NewEmail = z.email({ pattern: new RegExp(`^(?![^@]{65})${z.regexes.email.source.slice(1)}`) }).max(254);
/** In NFC (RFC 8265): independent of the keyboard that it was typed with. */
const Password = sensitive(z.string().normalize('NFC').min(8).max(200));
const PersonName = lineOfText(100);

const Tokens = z.object({
  accessToken: sensitive(z.string()),
  tokenType: z.literal('Bearer'),
  expiresIn: z.int().describe('seconds'),
  refreshToken: sensitive(z.string()),
});

export const SignUp = identity.command('sign-up', {
  description:
    'Creates a member. The answer does not reveal whether the address is taken. Passwords that are easy to guess are rejected: common ones, repetitions, sequences, the name in the address.',
  input: z.strictObject({ email: NewEmail, password: Password, name: PersonName }),
  output: z.object({ memberId: Id }),
  rejections: { 'weak-password': 422, 'too-busy': 429 },
  idempotency: 'none',
  http: { route: 'POST /v1/members', status: 201, limit: '300/minute' },
  access: 'public',
});

export const SignIn = identity.command('sign-in', {
  description: 'Signs in with address and password.',
  input: z.strictObject({
    email: Email,
    password: sensitive(z.string().normalize('NFC').min(1).max(200)),
  }),
  output: Tokens,
  rejections: { 'wrong-credentials': 401, 'too-many-attempts': 429, 'too-busy': 429 },
  http: { route: 'POST /v1/sessions', status: 201, limit: '300/minute' },
  access: 'public',
});

export const RefreshSession = identity.command('refresh-session', {
  description:
    'Exchanges a refresh token for new tokens. For some seconds a used token returns the same successor again; after that, its reuse ends the session.',
  input: z.strictObject({ refreshToken: sensitive(z.string().min(1).max(200)) }),
  output: Tokens,
  rejections: { 'refresh-token-refused': 401 },
  http: { route: 'POST /v1/sessions/refresh', status: 201, limit: '300/minute' },
  access: 'public',
});

export const SignOut = identity.command('sign-out', {
  description: 'Ends the session that the access token belongs to.',
  input: z.strictObject({}),
  http: { route: 'DELETE /v1/sessions/current' },
  access: 'member',
  priority: 'high',
});

export const SignOutEverywhere = identity.command('sign-out-everywhere', {
  description: 'Ends all sessions of the member.',
  input: z.strictObject({}),
  http: { route: 'DELETE /v1/sessions' },
  access: 'member',
  priority: 'high',
});

/** Tokens that are rejected before they expire: those of one session, or those of a member with an earlier generation. */
const Revocation = z.object({
  memberId: Id,
  sessionId: Id.optional().describe('the session that ended'),
  generation: z
    .int()
    .positive()
    .optional()
    .describe('tokens of the member with a lower claim `gen` are rejected'),
  until: Timestamp.describe('all these tokens have expired by then'),
});
export type Revocation = z.infer<typeof Revocation>;

export const TokensRevoked = identity.event('tokens-revoked', Revocation, {
  subject: 'memberId',
  description: 'A session ended, or the roles of a member changed: access tokens issued before are rejected.',
});

export const ListRevocations = identity.query('list-revocations', {
  description: 'The revocations whose access tokens have not all expired yet.',
  input: z.strictObject({}),
  output: z.object({
    revocations: z.array(Revocation),
    revokedUntil: Timestamp.nullable().describe(
      'set if there are too many to list: every token that expires by then is rejected',
    ),
  }),
});

export const GetMe = identity.query('get-me', {
  description: 'The signed-in member.',
  input: z.strictObject({}),
  output: z.object({ memberId: Id, email: z.email(), name: z.string(), roles: z.array(RoleName) }),
  http: 'GET /v1/members/me',
  access: 'member',
});

const jwk = { kty: z.string(), kid: z.string(), use: z.string(), alg: z.string() };

export const GetMemberEmail = identity.query('get-member-email', {
  description: 'The email address of a member, for audit records of other services.',
  input: z.strictObject({ memberId: Id }),
  output: z.object({ email: z.email() }),
  rejections: { 'unknown-member': 404 },
});

export const GetJwks = identity.query('get-jwks', {
  description: 'The public keys that verify access tokens.',
  input: z.strictObject({}),
  // Only public members: the schema drops a private one (`d`).
  output: z.object({
    keys: z.array(
      z.union([
        z.object({ ...jwk, crv: z.string(), x: z.string(), y: z.string() }),
        z.object({ ...jwk, n: z.string(), e: z.string() }),
      ]),
    ),
  }),
  http: { route: 'GET /.well-known/jwks.json', document: true },
  access: 'public',
  priority: 'low',
});

export const GetOpenIdConfiguration = identity.query('get-openid-configuration', {
  description: 'Metadata for verifying tokens and signing members in (OpenID Connect Discovery 1.0).',
  input: z.strictObject({}),
  output: z.object({
    issuer: z.string(),
    authorization_endpoint: z.string(),
    token_endpoint: z.string(),
    userinfo_endpoint: z.string(),
    revocation_endpoint: z.string(),
    jwks_uri: z.string(),
    scopes_supported: z.array(z.string()),
    response_types_supported: z.array(z.string()),
    response_modes_supported: z.array(z.string()),
    grant_types_supported: z.array(z.string()),
    code_challenge_methods_supported: z.array(z.string()),
    token_endpoint_auth_methods_supported: z.array(z.string()),
    authorization_response_iss_parameter_supported: z.boolean(),
    request_uri_parameter_supported: z.boolean(),
    claims_parameter_supported: z.boolean(),
    subject_types_supported: z.array(z.string()),
    id_token_signing_alg_values_supported: z.array(z.string()),
    claim_types_supported: z.array(z.string()),
    claims_supported: z.array(z.string()),
  }),
  http: { route: 'GET /.well-known/openid-configuration', document: true },
  access: 'public',
  priority: 'low',
});

export const AnswerPage = identity.pages('answer-page', {
  description: 'OpenID Connect for third parties: its endpoints, and the pages for sign-in and consent.',
  path: '/oidc',
  cookies: 'oidc_',
  limit: '600/minute',
});

/** Maximum seconds since the sign-in, for dangerous operations. */
const recentSignInSeconds = 300;

export const ChangeRoles = identity.command('change-roles', {
  description: 'Sets the roles of a member. Requires a recent sign-in.',
  input: z.strictObject({ memberId: Id, roles: z.array(RoleName).min(1).max(10) }),
  output: z.object({ memberId: Id, roles: z.array(RoleName) }),
  rejections: { 'unknown-member': 404 },
  http: { route: 'PUT /v1/ops/members/{memberId}/roles', maxAuthAge: recentSignInSeconds },
  access: 'operator',
});

export const RotateSigningKey = identity.command('rotate-signing-key', {
  description:
    'Creates the key that signs tokens from `activeAt` on. Ends no session. Requires a recent sign-in.',
  input: z.strictObject({}),
  output: z.object({ kid: z.string(), activeAt: Timestamp }),
  rejections: { 'rotation-under-way': 409 },
  http: { route: 'POST /v1/ops/signing-keys', status: 201, maxAuthAge: recentSignInSeconds },
  access: 'operator',
});

export const AuditKind = z.enum([
  'signed-in',
  'sign-in-failed',
  'sign-in-paused',
  'signed-out',
  'signed-out-everywhere',
  'refresh-token-reused',
  'roles-changed',
  'signing-key-rotated',
  'client-allowed',
  'client-revoked',
] as const);
export type AuditKind = z.infer<typeof AuditKind>;

/** Further fields of an audit entry; which of them are set depends on its kind. */
export const AuditDetails = z
  .object({
    sessionId: z.string(),
    sessions: z.int().describe('number of ended sessions'),
    from: z.array(z.string()),
    to: z.array(z.string()),
    reason: z.string(),
    kid: z.string(),
    activeAt: Timestamp,
    client: z.string(),
    scope: z.string(),
  })
  .partial();
export type AuditDetails = z.infer<typeof AuditDetails>;

export const ListAudit = identity.query('list-audit', {
  description: 'The audit log of accounts and keys, newest first. Entries are kept for a year.',
  input: z.strictObject({
    ...pageQuery,
    cursor: Id.optional(),
    memberId: Id.optional(),
    kind: AuditKind.optional(),
  }),
  output: createPageSchema(
    z.object({
      auditId: Id,
      at: Timestamp,
      kind: AuditKind,
      memberId: Id.nullable().describe('the member that it is about; null if there is no such account'),
      by: Id.nullable().describe('the member who did it, if different'),
      address: z.string().nullable().describe('address of the client; for IPv6 its /64'),
      details: AuditDetails,
    }),
  ),
  http: 'GET /v1/ops/audit',
  access: 'operator',
});

/** The default keeps events from before the limit valid. */
const mayMail = z
  .boolean()
  .default(true)
  .describe(
    'false if the limit of sign-up mails to this address or from one network is reached: no mail is sent',
  );

export const MemberRegistered = identity.event(
  'member-registered',
  z.object({ memberId: Id, email: z.email(), name: z.string(), language: Language, mayMail }),
  { subject: 'memberId', description: 'A member signed up.' },
);

export const SignUpRepeated = identity.event(
  'sign-up-repeated',
  z.object({ memberId: Id, language: Language, mayMail }),
  { subject: 'memberId', description: 'A sign-up used the address of an existing member.' },
);
