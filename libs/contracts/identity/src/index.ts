import {
  Id,
  Language,
  lineOfText,
  createPageSchema,
  pageQuery,
  sensitive,
  service,
  Timestamp,
} from '@jogakbo/contract';
import { z } from 'zod';

export const identity = service('identity', 'Members, their sign-in and the tokens that prove it.');

const Email = z.email().max(254);
/** RFC 5321, section 4.5.3.1.1: a local part of at most 64 octets. Those with longer addresses from before still sign in. */
const NewEmail = z.email({ pattern: new RegExp(`^(?![^@]{65})${z.regexes.email.source.slice(1)}`) }).max(254);
/** In NFC, as RFC 8265 has it: the same whatever keyboard it was typed with. */
const Password = sensitive(z.string().normalize('NFC').min(8).max(200));
const PersonName = lineOfText(100);
export const Role = z.enum(['member', 'merchant', 'operator']);
export type Role = z.infer<typeof Role>;

const Tokens = z.object({
  accessToken: sensitive(z.string()),
  tokenType: z.literal('Bearer'),
  expiresIn: z.int().describe('seconds'),
  refreshToken: sensitive(z.string()),
});

export const SignUp = identity.command('sign-up', {
  description:
    'Becomes a member. A taken address gets the same answer as a fresh one. A password that is guessed first is refused: a common one, a repetition, a sequence, the name in the address.',
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
    'Trades a refresh token for new tokens. For some seconds a used one gives the same successor again; after that it ends its session.',
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
});

export const SignOutEverywhere = identity.command('sign-out-everywhere', {
  description: 'Ends every session of the member.',
  input: z.strictObject({}),
  http: { route: 'DELETE /v1/sessions' },
  access: 'member',
});

/** Tokens that are refused before they expire: those of a session, or those of a member of an earlier generation. */
const Revocation = z.object({
  memberId: Id,
  sessionId: Id.optional().describe('the session that ended'),
  generation: z
    .int()
    .positive()
    .optional()
    .describe('tokens of the member are refused whose claim `gen` is lower'),
  until: Timestamp.describe('all these tokens have expired by then'),
});
export type Revocation = z.infer<typeof Revocation>;

export const TokensRevoked = identity.event('tokens-revoked', Revocation, {
  subject: 'memberId',
  description: 'A session ended, or the roles of a member changed: access tokens issued before are refused.',
});

export const ListRevocations = identity.query('list-revocations', {
  description: 'The revocations whose access tokens have not all expired yet.',
  input: z.strictObject({}),
  output: z.object({
    revocations: z.array(Revocation),
    revokedUntil: Timestamp.nullable().describe(
      'set where there are too many to list: every token that expires by then is refused',
    ),
  }),
});

export const GetMe = identity.query('get-me', {
  description: 'The member who asks.',
  input: z.strictObject({}),
  output: z.object({ memberId: Id, email: z.email(), name: z.string(), roles: z.array(Role) }),
  http: 'GET /v1/members/me',
  access: 'member',
});

const jwk = { kty: z.string(), kid: z.string(), use: z.string(), alg: z.string() };

export const GetMemberEmail = identity.query('get-member-email', {
  description: 'The address of a member, for services that write down who did something.',
  input: z.strictObject({ memberId: Id }),
  output: z.object({ email: z.email() }),
  rejections: { 'unknown-member': 404 },
});

export const GetJwks = identity.query('get-jwks', {
  description: 'The public keys that verify access tokens.',
  input: z.strictObject({}),
  // The public parts: a private one (`d`) could not leave by mistake.
  output: z.object({
    keys: z.array(
      z.union([
        z.object({ ...jwk, ...{ crv: z.string(), x: z.string(), y: z.string() } }),
        z.object({ ...jwk, ...{ n: z.string(), e: z.string() } }),
      ]),
    ),
  }),
  http: { route: 'GET /.well-known/jwks.json', document: true },
  access: 'public',
});

export const GetOpenIdConfiguration = identity.query('get-openid-configuration', {
  description: 'What is needed to verify tokens, and to sign members in (OpenID Connect Discovery 1.0).',
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
});

export const AnswerPage = identity.pages('answer-page', {
  description:
    'OpenID Connect for third parties: its endpoints, and the pages where members sign in and allow.',
  path: '/oidc',
  cookies: 'oidc_',
  limit: '600/minute',
});

/** A sign-in is recent for so many seconds. */
const recent = 300;

export const ChangeRoles = identity.command('change-roles', {
  description: 'Gives a member these roles and no others. Asks for a recent sign-in.',
  input: z.strictObject({ memberId: Id, roles: z.array(Role).min(1).max(10) }),
  output: z.object({ memberId: Id, roles: z.array(Role) }),
  rejections: { 'unknown-member': 404 },
  http: { route: 'PUT /v1/ops/members/{memberId}/roles', maxAuthAge: recent },
  access: 'operator',
});

export const RotateSigningKey = identity.command('rotate-signing-key', {
  description:
    'Makes the key that signs tokens from `activeAt` on. Ends no session. Asks for a recent sign-in.',
  input: z.strictObject({}),
  output: z.object({ kid: z.string(), activeAt: Timestamp }),
  rejections: { 'rotation-under-way': 409 },
  http: { route: 'POST /v1/ops/signing-keys', status: 201, maxAuthAge: recent },
  access: 'operator',
});

export const AuditKind = z.enum([
  ...['signed-in', 'sign-in-failed', 'sign-in-paused', 'signed-out', 'signed-out-everywhere'],
  ...['refresh-token-reused', 'roles-changed', 'signing-key-rotated', 'client-allowed', 'client-revoked'],
] as const);
export type AuditKind = z.infer<typeof AuditKind>;

/** What an entry of the trail tells beside whom, when and where; which of it there is depends on its kind. */
export const AuditDetails = z
  .object({
    ...{ sessionId: z.string(), sessions: z.int().describe('how many ended') },
    ...{ from: z.array(z.string()), to: z.array(z.string()), reason: z.string() },
    ...{ kid: z.string(), activeAt: Timestamp },
    ...{ client: z.string(), scope: z.string() },
  })
  .partial();
export type AuditDetails = z.infer<typeof AuditDetails>;

export const ListAudit = identity.query('list-audit', {
  description: 'What happened to accounts and keys, newest first. Kept for a year.',
  input: z.strictObject({
    ...pageQuery,
    cursor: Id.optional(),
    memberId: Id.optional(),
    kind: AuditKind.optional(),
  }),
  output: createPageSchema(
    z.object({
      ...{ auditId: Id, at: Timestamp, kind: AuditKind },
      memberId: Id.nullable().describe('whom it is about; null where nobody has the account'),
      by: Id.nullable().describe('who did it, where that is somebody else'),
      address: z.string().nullable().describe('where the request came from; of IPv6 the /64'),
      details: AuditDetails,
    }),
  ),
  http: 'GET /v1/ops/audit',
  access: 'operator',
});

/** Of what a sign-up announces. Compatible with events from before there was a limit. */
const mayMail = z
  .boolean()
  .default(true)
  .describe(
    'false where sign-ups have caused so many mails to this address, or from one network, that none is sent',
  );

export const MemberRegistered = identity.event(
  'member-registered',
  z.object({ memberId: Id, email: z.email(), name: z.string(), language: Language, mayMail }),
  { subject: 'memberId', description: 'Somebody became a member.' },
);

export const SignUpRepeated = identity.event(
  'sign-up-repeated',
  z.object({ memberId: Id, language: Language, mayMail }),
  { subject: 'memberId', description: 'Somebody tried to sign up with the address of a member.' },
);
