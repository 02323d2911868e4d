import { service, Timestamp } from '@jogakbo/contract';
import { z } from 'zod';

export const registry = service('registry', 'Running instances, their addresses and their contracts.');

const Name = z
  .string()
  .regex(/^[a-z][\w.-]*$/)
  .max(60);

/** One instance, as last announced. */
export const InstanceView = z.object({
  service: z.string(),
  version: z.string(),
  instance: z.string(),
  url: z.string(),
  /** How it is called: over the bus, or over HTTP at its url. */
  upstream: z.enum(['bus', 'http']),
  /** `out`: present, but takes no work. */
  state: z.enum(['up', 'out']),
  startedAt: Timestamp,
  /** Share of recent time that it was busy, if it reports it. */
  load: z.number().min(0).max(1).optional(),
  contractHash: z.string(),
  refusedRoutes: z
    .array(z.object({ route: z.string(), holder: z.string().optional() }))
    .optional()
    .describe(
      'routes that it announces without receiving them, and the request that each is registered for, if any',
    ),
});
export type InstanceView = z.infer<typeof InstanceView>;

/** One contract of one version of a service. */
export const ContractVersion = z.object({
  version: z.string(),
  /** SHA-256 of the contract, independent of the order of its fields. */
  hash: z.string(),
  firstSeen: Timestamp,
  lastSeen: Timestamp,
});
export type ContractVersion = z.infer<typeof ContractVersion>;

export const ListInstances = registry.query('list-instances', {
  description: 'All running instances, or those of one service.',
  input: z.strictObject({ service: Name.optional() }),
  output: z.object({
    items: z.array(InstanceView),
    refusedSenders: z
      .array(z.object({ sender: z.string(), about: z.string(), count: z.int().min(1), lastAt: Timestamp }))
      .describe('logins that announced instances of another service, since the start of this registry'),
  }),
  http: 'GET /v1/ops/instances',
  access: 'operator',
});

export const ListContractVersions = registry.query('list-contract-versions', {
  description:
    'The contracts of a service by version. The version whose newest instance started last comes first.',
  input: z.strictObject({ service: Name }),
  output: z.object({ items: z.array(ContractVersion) }),
  http: 'GET /v1/ops/contracts/{service}',
  access: 'operator',
});

export const GetContract = registry.query('get-contract', {
  description: 'One contract of a service by its hash, with the versions that announced it.',
  input: z.strictObject({ service: Name, hash: z.string().regex(/^[0-9a-f]{64}$/) }),
  output: z.object({
    service: z.string(),
    hash: z.string(),
    versions: z.array(ContractVersion).describe('empty if it was announced only a moment ago'),
    contract: z
      .record(z.string(), z.unknown())
      .describe(
        'as announced: requests and events with their JSON Schemas, and what the service uses of others',
      ),
  }),
  http: 'GET /v1/ops/contracts/{service}/{hash}',
  access: 'operator',
});

/** The permissions of an app that is not on the bus. Its routes stay reserved while it has no instances. */
export const Registration = z.object({
  app: z.string(),
  routes: z.array(z.string()),
  networks: z.array(z.string()),
  changedBy: z.string(),
  changedAt: Timestamp,
});
export type Registration = z.infer<typeof Registration>;

/** Maximum seconds since the sign-in, for changes of registrations. */
const recentSignInSeconds = 300;

const AppName = z
  .string()
  .regex(
    /^[a-z][a-z0-9_.-]{0,59}$/,
    'must be a lower case letter, then lower case letters, digits, _ . and -',
  );

export const ListRegistrations = registry.query('list-registrations', {
  description: 'All apps that can register, with their routes and networks.',
  input: z.strictObject({}),
  output: z.object({ items: z.array(Registration) }),
  http: 'GET /v1/ops/registrations',
  access: 'operator',
});

export const SetRegistration = registry.command('set-registration', {
  description:
    'Allows an app to register its instances, or changes its secret, routes and networks. Only the SHA-256 of the secret is sent. Requires a recent sign-in.',
  input: z.strictObject({
    app: AppName,
    secretHash: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .describe('SHA-256 of a random secret of at least 128 bits, in hex'),
    routes: z
      .array(z.string().max(500))
      .max(100)
      .describe('`METHOD /path/{parameter}`: the routes that it can register'),
    networks: z
      .array(z.string().max(49))
      .min(1)
      .max(100)
      .describe('`10.0.0.0/8`: networks that must contain its addresses; loopback only if listed'),
  }),
  output: Registration,
  rejections: { 'app-taken': 409, 'route-taken': 409, 'invalid-registration': 422 },
  http: { route: 'PUT /v1/ops/registrations/{app}', maxAuthAge: recentSignInSeconds },
  access: 'operator',
});

export const RemoveRegistration = registry.command('remove-registration', {
  description:
    'Ends the registration of an app: its instances are removed and its routes released. Requires a recent sign-in.',
  input: z.strictObject({ app: AppName }),
  rejections: { 'unknown-app': 404 },
  http: { route: 'DELETE /v1/ops/registrations/{app}', maxAuthAge: recentSignInSeconds },
  access: 'operator',
});
