import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { toConnectOptions } from '@jogakbo/messaging/address';
import { declareTopology } from '@jogakbo/messaging/declare-topology';
import { DecryptionKeys } from '@jogakbo/messaging/encryption';
import {
  type BusDescription,
  resolveGrants,
  type EncryptionKeys,
  type RouteConflict,
} from '@jogakbo/messaging/grants';
import {
  assertGrantsStream,
  hasGrantsStream,
  publishGrants,
  readGrants,
} from '@jogakbo/messaging/grants-stream';
import { computePermissions, type Permissions } from '@jogakbo/messaging/permissions';
import { ServiceKey } from '@jogakbo/messaging/service-key';
import { connect } from 'amqplib';
import { type Broker, type Management, findManagement } from './broker-management.ts';
import { migrateTopology } from './topology-migration.ts';
import { readBusDescriptions } from '../../bus-descriptions.ts';
import { readRetryDelays } from './retry-delays.ts';
import { CliError, toMessage } from '../../terminal/cli-error.ts';
import { type Secrets } from '../../supervisor/state.ts';
import { withCertificate } from '../tls/store-tls.ts';
import { type App, listApps } from '../../workspace.ts';

/**
 * Limits per login. An instance has one connection, two during its start, and at most 25 channels. The limits allow eight
 * instances and protect the memory of the broker.
 */
export const loginLimits = { 'max-connections': 20, 'max-channels': 400 };

/**
 * Maximum bytes per in-memory queue, because a login can declare such queues without reading them. The broker drops the
 * oldest message first: a late reply or query.
 */
export const memoryQueueBytes = 16_777_216;

const getMemoryQueuePolicy = (services: readonly string[]) => ({
  pattern: `^((reply|hearing)\\.(${services.join('|')})\\.|(${services.join('|')})\\.queries(@|$))`,
  'apply-to': 'queues',
  definition: { 'max-length-bytes': memoryQueueBytes },
});

/** The broker connections of the services. */
export interface BrokerLogins {
  /** By service name. */
  urls: Record<string, string>;
  /** The login of the broker operator; undefined if all services share one login. */
  brokerOperator?: string;
  /** Why the services share a login, or which routes were rejected, in one line. */
  remark?: string;
}

/** The broker URL of one login, with its password or certificate. */
export function buildLoginUrl({ url: server, tls }: Broker, login: string, password: string): string {
  if (tls) return withCertificate(server, tls, login);
  const url = new URL(server);
  url.username = encodeURIComponent(login);
  url.password = encodeURIComponent(password);
  return url.href;
}

/** Passwords by service name, and the administrator's password for the management API of a broker with TLS. */
export interface DeploySecrets extends Pick<Secrets, 'brokerPasswords' | 'brokerAdministrator'> {
  /** Public keys of the services, the newest first. Senders use only these for encryption. */
  encryptionKeys?: Record<string, EncryptionKeys>;
}

/** Derives the public keys of services. @throws CliError with the name of the service whose key is invalid */
export function getPublicKeys(serviceKeys: Record<string, string>): Record<string, EncryptionKeys> {
  return Object.fromEntries(
    Object.entries(serviceKeys).map(([name, text]) => {
      try {
        return [name, [...new DecryptionKeys(ServiceKey.parse(text)).publicKeys]];
      } catch (error) {
        throw new CliError(`The service key of ${name} ${toMessage(error)}.`);
      }
    }),
  );
}

/**
 * The deploy step for built services: see `deployServices`.
 * @param wanted the services to run
 * @param describe what the services do on the bus; by default what the builds of this workspace do
 * @throws CliError if one of them is not built
 */
export const runDeployStep = (
  broker: Broker,
  wanted: readonly App[],
  secrets: DeploySecrets,
  owner: string,
  describe: () => readonly BusDescription[] = () => readBusDescriptions(wanted),
): Promise<BrokerLogins> =>
  deployServices(
    broker,
    wanted.map(({ name }) => name),
    secrets,
    owner,
    describe,
  );

/**
 * The deploy step. Creates a login per service, named after the service, with only the permissions that its contracts imply. Declares
 * exchanges and retry queues, because services have no permission to do so. Publishes the grants and the public keys, and
 * sets limits. Migrates brokers of earlier versions.
 * @param wanted the names of the services to run
 * @param secrets the passwords and public keys of the services; a login without a password here is not changed
 * @param owner tags the logins of this store; other logins are not changed
 * @param readBus returns the descriptions of all services; not called if the services share a login
 * @returns one shared login if the broker's management API cannot be used
 */
export async function deployServices(
  broker: Broker,
  wanted: readonly string[],
  { brokerPasswords: passwords, brokerAdministrator: administratorPassword, encryptionKeys }: DeploySecrets,
  owner: string,
  readBus: () => readonly BusDescription[],
): Promise<BrokerLogins> {
  const found = await findManagement(broker, administratorPassword);
  if (!found.management) return shareLogin(broker, wanted, found.reason);
  const { management } = found;
  const bus = readBus();
  const tag = `jogakbo-${owner}`;
  const foreign = await findForeignLogins(management, broker, bus, tag);
  if (foreign) return shareLogin(broker, wanted, foreign);
  const brokerOperator = decodeURIComponent(new URL(broker.url).username) || 'guest';
  const permissions = computePermissions(bus, brokerOperator);
  const remarks = await registerServices(broker, management, bus, brokerOperator, encryptionKeys);
  await defineLogins(management);
  const urls = wanted.flatMap((name) => {
    const password = passwords[name];
    return password === undefined ? [] : [[name, buildLoginUrl(broker, name, password)] as const];
  });
  return {
    urls: Object.fromEntries(urls),
    brokerOperator,
    ...(remarks.length > 0 && { remark: remarks.join(' ') }),
  };

  async function defineLogins(to: Management): Promise<void> {
    const definitions = buildDefinitions(to, permissions);
    await to.define(definitions);
    await Promise.all(definitions.users.map(({ name }) => to.limit(name, loginLimits)));
    await to.setOperatorPolicy(`${tag}-memory`, getMemoryQueuePolicy(bus.map(({ service }) => service)));
  }

  function buildDefinitions({ vhost }: Management, all: ReadonlyMap<string, Permissions>) {
    const each = [...all].filter(([name]) => passwords[name] !== undefined);
    return {
      users: each.map(([name]) => ({ name, tags: tag, ...hashPassword(passwords[name]!) })),
      permissions: each.map(([user, { configure, write, read }]) => ({
        user,
        vhost,
        configure,
        write,
        read,
      })),
      topic_permissions: each.flatMap(([user, { topics }]) =>
        topics.map((topic) => ({ user, vhost, ...topic })),
      ),
    };
  }
}

const shareLogin = (broker: Broker, wanted: readonly string[], reason: string): BrokerLogins => ({
  urls: Object.fromEntries(wanted.map((name) => [name, broker.url])),
  remark: `All services share the login of RABBITMQ_URL, so the broker cannot distinguish or restrict them: ${reason}.`,
});

/** On an external broker, a login with the name of a service may belong to another application. */
async function findForeignLogins(
  management: Management,
  { kind }: Broker,
  bus: readonly BusDescription[],
  tag: string,
): Promise<string | undefined> {
  if (kind !== 'external') return undefined;
  const services = new Set(bus.map(({ service }) => service));
  const users = await management.users();
  const others = users.filter(({ name, tags }) => services.has(name) && ![tags].flat().join().includes(tag));
  return others.length > 0
    ? `its logins ${others.map(({ name }) => name).join(', ')} are not of this store`
    : undefined;
}

const formatRefusedRoutes = (refused: RouteConflict[]): string =>
  `Routes registered by another service were rejected: ${refused
    .map(({ service, route, holder }) => `${route} of ${service} (registered by ${holder})`)
    .join(', ')}.`;

/** Time for the leader election of streams after a broker start, in milliseconds. */
const streamTimeoutMs = 20_000;
const hasNoLeader = /down or inaccessible|NOT.FOUND/;

const formatMissingKeys = (keyless: string[]): string =>
  `No public key of ${keyless.join(', ')} is registered, so sensitive requests to them cannot be sent: set SERVICE_KEYS or ENCRYPTION_KEYS.`;

/**
 * Declares exchanges and retry queues, and registers every service with its grants, routes and keys.
 * @returns remarks for the person at the terminal, in sentences
 */
async function registerServices(
  { url }: Broker,
  management: Management,
  bus: readonly BusDescription[],
  brokerOperator: string,
  encryptionKeys: Record<string, EncryptionKeys> = {},
): Promise<string[]> {
  const connection = await connect(url, {
    ...toConnectOptions(url),
    noDelay: true,
    clientProperties: { connection_name: 'jogakbo declares the topology' },
  });
  connection.on('error', () => undefined);
  const attempt = async (): Promise<string[]> => {
    const channel = await connection.createConfirmChannel();
    channel.on('error', () => undefined);
    const isFirst = !(await hasGrantsStream(connection));
    await assertGrantsStream(channel);
    const before = isFirst ? [] : await readGrants(channel, brokerOperator);
    const known = listApps().map(({ name }) => name);
    const { services, refused } = resolveGrants(bus, before, known, new Map(Object.entries(encryptionKeys)));
    await declareTopology(channel, services, brokerOperator, readRetryDelays());
    const names = [...new Set([...known, ...services.map(({ service }) => service)])];
    const remaining = await migrateTopology(connection, management, names, brokerOperator);
    await publishGrants(channel, services, brokerOperator);
    const keyless = services.filter(
      ({ contracts, encryptionKeys }) => !encryptionKeys && contracts.some(({ sensitive }) => sensitive),
    );
    return [
      ...(refused.length > 0 ? [formatRefusedRoutes(refused)] : []),
      ...(keyless.length > 0 ? [formatMissingKeys(keyless.map(({ service }) => service))] : []),
      ...(remaining.length > 0
        ? [`${remaining.join(', ')} stay: they hold messages of services that are not known.`]
        : []),
    ];
  };
  try {
    for (const until = Date.now() + streamTimeoutMs; ; await pause(250)) {
      try {
        return await attempt();
      } catch (error) {
        if (Date.now() > until || !hasNoLeader.test(toMessage(error))) throw error;
      }
    }
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(`The topology cannot be declared on the broker: ${toMessage(error)}`);
  } finally {
    await connection.close().catch(() => undefined);
  }
}

/** Hashes a password as RabbitMQ stores it, so that the plain password is not sent. */
function hashPassword(password: string) {
  const salt = randomBytes(4);
  const hash = createHash('sha256').update(salt).update(password).digest();
  return {
    password_hash: Buffer.concat([salt, hash]).toString('base64'),
    hashing_algorithm: 'rabbit_password_hashing_sha256',
  };
}
