import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { toConnectOptions } from '@jogakbo/messaging/address';
import { declareTopology } from '@jogakbo/messaging/declare-topology';
import { DecryptionKeys } from '@jogakbo/messaging/encryption';
import {
  BusDescription,
  registerServices,
  type EncryptionKeys,
  type RefusedRoute,
} from '@jogakbo/messaging/grants';
import { assertGrantsStream, publishGrants, readGrants } from '@jogakbo/messaging/grants-stream';
import { computePermissions, type Permissions } from '@jogakbo/messaging/permissions';
import { ServiceKey } from '@jogakbo/messaging/service-key';
import { defaultLadder } from '@jogakbo/messaging/topology';
import { connect } from 'amqplib';
import { type Broker, type Management, findManagement } from './broker-management.ts';
import { takeOver } from './broker-takeover.ts';
import { CliError, toMessage } from '../../terminal/cli-error.ts';
import { readJson, type Secrets } from '../../supervisor/state.ts';
import { withCertificate } from '../tls/store-tls.ts';
import { type App, listApps } from '../../workspace.ts';

/**
 * What one login may hold at once. An instance has one connection, two while it starts, and at most 25 channels: this is
 * enough for eight instances, and too little to fill the memory of the broker.
 */
export const loginLimits = { 'max-connections': 20, 'max-channels': 400 };

/**
 * Bytes that may wait in one queue that is kept in memory: a login makes such queues for itself and need not read them.
 * The oldest message goes first, which is an answer or a question that came too late.
 */
export const memoryQueueBytes = 16_777_216;

const memoryQueues = (services: readonly string[]) => ({
  pattern: `^((reply|hearing)\\.(${services.join('|')})\\.|(${services.join('|')})\\.queries(@|$))`,
  'apply-to': 'queues',
  definition: { 'max-length-bytes': memoryQueueBytes },
});

/** How services reach the broker. */
export interface BrokerLogins {
  /** By the name of the service. */
  urls: Record<string, string>;
  /** Who operates the broker; undefined where all services share one login. */
  operator?: string;
  /** Why they share it, in one line; or which routes were refused. */
  remark?: string;
}

/** The address of the broker for one login: with its password, or with its certificate. */
function urlFor({ url: server, tls }: Broker, login: string, password: string): string {
  if (tls) return withCertificate(server, tls, login);
  const url = new URL(server);
  url.username = encodeURIComponent(login);
  url.password = encodeURIComponent(password);
  return url.href;
}

/** What the build of an app said that it does on the bus. */
const readBus = ({ folder }: App): BusDescription | undefined =>
  BusDescription.safeParse(readJson(join(folder, 'dist', 'bus.json'))).data;

/** Every service that is built; those that are wanted must be. */
function describedBus(wanted: readonly App[]): BusDescription[] {
  const missing = wanted.filter((app) => !readBus(app)).map(({ name }) => name);
  if (missing.length > 0) {
    throw new CliError(`The build of ${missing.join(', ')} does not say what it does on the bus.`, {
      details: missing.map((name) => `apps/${name}/dist/bus.json is missing`),
      remedies: [`npx nx run-many -t build -p ${missing.join(',')}`],
    });
  }
  return listApps().flatMap((app) => readBus(app) ?? []);
}

/** What the deploy step is given: secrets of services by their names, and the operator's, where its address has none. */
export interface DeploySecrets extends Pick<Secrets, 'brokerLogins' | 'broker'> {
  /** Public keys of services, the newest first. Senders encrypt with no others. */
  encryptionKeys?: Record<string, EncryptionKeys>;
}

/** The public keys that the keys of services imply. @throws Fault that names the service whose key cannot be read */
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
 * Gives every service a login of its own, called like the service, that may do on the broker what its contracts imply
 * and nothing else; and declares exchanges and retry queues, for services may not. A broker of an earlier version is taken
 * over.
 * @param wanted the services that are to run
 * @param secrets the passwords and public keys of all services
 * @param owner marks the logins as of this store: those of others are left alone
 * @returns the shared login for all where the broker's management API cannot be reached
 */
export async function ensureBrokerLogins(
  broker: Broker,
  wanted: readonly App[],
  { brokerLogins: passwords, broker: operatorPassword, encryptionKeys }: DeploySecrets,
  owner: string,
): Promise<BrokerLogins> {
  const management = await findManagement(broker, operatorPassword);
  const bus = describedBus(wanted);
  const tag = `jogakbo-${owner}`;
  const obstacle =
    typeof management === 'string' ? management : await loginsOfOthers(management, broker, bus, tag);
  if (typeof management === 'string' || obstacle) return shared(broker, wanted, obstacle);
  const operator = decodeURIComponent(new URL(broker.url).username) || 'guest';
  const permissions = computePermissions(bus, operator);
  const remarks = await register(broker, management, bus, operator, encryptionKeys);
  await defineLogins(management);
  const urls = wanted.map(({ name }) => [name, urlFor(broker, name, passwords[name]!)] as const);
  return {
    urls: Object.fromEntries(urls),
    operator,
    ...(remarks.length > 0 && { remark: remarks.join(' ') }),
  };

  async function defineLogins(to: Management): Promise<void> {
    const given = definitions(to, permissions);
    await to.define(given);
    await Promise.all(given.users.map(({ name }) => to.limit(name, loginLimits)));
    await to.setOperatorPolicy(`${tag}-memory`, memoryQueues(bus.map(({ service }) => service)));
  }

  function definitions({ vhost }: Management, all: ReadonlyMap<string, Permissions>) {
    const each = [...all].filter(([name]) => passwords[name] !== undefined);
    return {
      users: each.map(([name]) => ({ name, tags: tag, ...hashed(passwords[name]!) })),
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

const shared = (broker: Broker, wanted: readonly App[], why: string | undefined): BrokerLogins => ({
  urls: Object.fromEntries(wanted.map(({ name }) => [name, broker.url])),
  remark: `All services share the login of RABBITMQ_URL, so the broker cannot tell them apart or hold one back: ${why}.`,
});

/** On a broker that others use too, a login may be called like a service and be somebody else's. */
async function loginsOfOthers(
  management: Management,
  { kind }: Broker,
  bus: readonly BusDescription[],
  tag: string,
): Promise<string | undefined> {
  if (kind !== 'given') return undefined;
  const services = new Set(bus.map(({ service }) => service));
  const users = await management.users();
  const others = users.filter(({ name, tags }) => services.has(name) && ![tags].flat().join().includes(tag));
  return others.length > 0
    ? `its logins ${others.map(({ name }) => name).join(', ')} are not of this store`
    : undefined;
}

const remarkOn = (refused: RefusedRoute[]): string =>
  `Routes that another service has already are not registered: ${refused
    .map(({ service, route, holder }) => `${route} of ${service} (${holder} has it)`)
    .join(', ')}.`;

/** A broker that has just started needs a moment until its streams have a leader, in milliseconds. */
const streamPatience = 20_000;
const hasNoLeader = /down or inaccessible|NOT.FOUND/;

const remarkOnKeys = (keyless: string[]): string =>
  `No public key of ${keyless.join(', ')} is registered, so no sensitive request to them can be sent: give SERVICE_KEYS or ENCRYPTION_KEYS.`;

/**
 * Declares what services may not, and registers every service: whom it may call, its routes, its keys.
 * @returns what an operator should know, in sentences
 */
async function register(
  { url }: Broker,
  management: Management,
  bus: readonly BusDescription[],
  operator: string,
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
    const ladder = process.env.RETRY_LADDER?.split(',').map(Number);
    await assertGrantsStream(channel);
    const before = await readGrants(channel, operator);
    const known = listApps().map(({ name }) => name);
    const { services, refused } = registerServices(
      bus,
      before,
      known,
      new Map(Object.entries(encryptionKeys)),
    );
    await declareTopology(channel, services, operator, ladder ?? defaultLadder);
    const names = [...new Set([...known, ...services.map(({ service }) => service)])];
    const left = await takeOver(connection, management, names, operator);
    await publishGrants(channel, services, operator);
    const keyless = services.filter(
      ({ contracts, encryptionKeys }) => !encryptionKeys && contracts.some(({ sensitive }) => sensitive),
    );
    return [
      ...(refused.length > 0 ? [remarkOn(refused)] : []),
      ...(keyless.length > 0 ? [remarkOnKeys(keyless.map(({ service }) => service))] : []),
      ...(left.length > 0
        ? [`${left.join(', ')} stay: they hold messages of services that are not known.`]
        : []),
    ];
  };
  try {
    for (const until = Date.now() + streamPatience; ; await pause(250)) {
      try {
        return await attempt();
      } catch (error) {
        if (Date.now() > until || !hasNoLeader.test(toMessage(error))) throw error;
      }
    }
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(`What services need cannot be declared on the broker: ${toMessage(error)}`);
  } finally {
    await connection.close().catch(() => undefined);
  }
}

/** As RabbitMQ keeps it: the password itself does not travel. */
function hashed(password: string) {
  const salt = randomBytes(4);
  const hash = createHash('sha256').update(salt).update(password).digest();
  return {
    password_hash: Buffer.concat([salt, hash]).toString('base64'),
    hashing_algorithm: 'rabbit_password_hashing_sha256',
  };
}
