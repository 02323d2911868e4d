import { service, Timestamp } from '@jogakbo/contract';
import { z } from 'zod';

export const registry = service('registry', 'Who is there, where, and what each speaks.');

const Name = z
  .string()
  .regex(/^[a-z][\w.-]*$/)
  .max(60);

/** One instance, as it was last heard of. */
export const InstanceView = z.object({
  service: z.string(),
  version: z.string(),
  instance: z.string(),
  url: z.string(),
  /** How it is asked: over the bus, or over HTTP at its url. */
  upstream: z.enum(['bus', 'http']),
  /** `out`: it is there, and takes no work. */
  state: z.enum(['up', 'out']),
  startedAt: Timestamp,
  /** Share of its time that it was busy of late, where it says so. */
  load: z.number().min(0).max(1).optional(),
  contractHash: z.string(),
  refusedRoutes: z
    .array(z.object({ route: z.string(), holder: z.string().optional() }))
    .optional()
    .describe(
      'routes that it announces and does not get, and the request that each is registered for, if any',
    ),
});
export type InstanceView = z.infer<typeof InstanceView>;

/** One contract that was spoken under one version. */
export const ContractVersion = z.object({
  version: z.string(),
  /** SHA-256 of the contract, whatever the order of its fields. */
  hash: z.string(),
  firstSeen: Timestamp,
  lastSeen: Timestamp,
});
export type ContractVersion = z.infer<typeof ContractVersion>;

export const ListInstances = registry.query('list-instances', {
  description: 'Every instance that is there now, or those of one service.',
  input: z.strictObject({ service: Name.optional() }),
  output: z.object({
    items: z.array(InstanceView),
    refusedSenders: z
      .array(z.object({ sender: z.string(), about: z.string(), count: z.int().min(1), lastAt: Timestamp }))
      .describe('logins that announced instances of another service, as this registry heard since its start'),
  }),
  http: 'GET /v1/ops/instances',
  access: 'operator',
});

export const ListContractVersions = registry.query('list-contract-versions', {
  description: 'What a service spoke, version by version, the one whose newest instance started last first.',
  input: z.strictObject({ service: Name }),
  output: z.object({ items: z.array(ContractVersion) }),
  http: 'GET /v1/ops/contracts/{service}',
  access: 'operator',
});

/** What an app that is not on the bus may register. It holds its routes, also while none of its instances is there. */
export const Registration = z.object({
  app: z.string(),
  routes: z.array(z.string()),
  networks: z.array(z.string()),
  changedBy: z.string(),
  changedAt: Timestamp,
});
export type Registration = z.infer<typeof Registration>;

/** Who changes registrations has signed in within so many seconds. */
const recent = 300;

const AppName = z
  .string()
  .regex(/^[a-z][a-z0-9_.-]{0,59}$/, 'a lower case letter, then lower case letters, digits, _ . and -');

export const ListRegistrations = registry.query('list-registrations', {
  description: 'Every app that may register, with its routes and networks.',
  input: z.strictObject({}),
  output: z.object({ items: z.array(Registration) }),
  http: 'GET /v1/ops/registrations',
  access: 'operator',
});

export const SetRegistration = registry.command('set-registration', {
  description:
    'Lets an app register its instances, or changes its secret, routes and networks. The secret itself is never sent: only its SHA-256. Requires a recent sign-in.',
  input: z.strictObject({
    app: AppName,
    secretHash: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .describe('SHA-256 of a random secret of at least 128 bits, in hex'),
    routes: z
      .array(z.string().max(500))
      .max(100)
      .describe('`METHOD /path/{parameter}`: the routes that it may take'),
    networks: z
      .array(z.string().max(49))
      .min(1)
      .max(100)
      .describe('`10.0.0.0/8`: networks in which its addresses must lie; loopback only where it is named'),
  }),
  output: Registration,
  rejections: { 'app-taken': 409, 'route-taken': 409, 'invalid-registration': 422 },
  http: { route: 'PUT /v1/ops/registrations/{app}', maxAuthAge: recent },
  access: 'operator',
});

export const RemoveRegistration = registry.command('remove-registration', {
  description:
    'Ends the registration of an app: its instances leave, and its routes are free. Requires a recent sign-in.',
  input: z.strictObject({ app: AppName }),
  rejections: { 'unknown-app': 404 },
  http: { route: 'DELETE /v1/ops/registrations/{app}', maxAuthAge: recent },
  access: 'operator',
});
