import { join } from 'node:path';
import { type BackingService } from '../backing/backing-service.ts';
import { isDockerBrokerRunning } from '../backing/rabbitmq/docker-broker.ts';
import { UsageError } from '../terminal/cli-error.ts';
import { claimPorts } from './ports.ts';
import { type BrokerConfiguration, findRunningBroker } from '../backing/rabbitmq/private-broker.ts';
import { type DatabaseConfiguration } from '../backing/postgres/private-postgres.ts';
import { keepPorts, readKeptPorts, ensureSecrets, type StateFolder } from './state.ts';
import { openTls } from '../backing/tls/store-tls.ts';
import { type App } from '../workspace.ts';

const brokerPorts = ['amqp', 'management', 'distribution', 'epmd'] as const;

/** Folder, ports and password of the private broker. A broker that still runs keeps its ports; otherwise only free ports are kept. */
export async function prepareBroker(state: StateFolder, abort?: AbortSignal): Promise<BrokerConfiguration> {
  const at = { folder: join(state.folder, 'rabbitmq'), name: `jogakbo-${state.id}` };
  const kept = readKeptPorts(state);
  const runs = findRunningBroker(at) !== undefined || (await isDockerBrokerRunning(at));
  const ports = { ...(await claimPorts(brokerPorts, kept)), ...(runs ? kept : {}) };
  keepPorts(state, ports);
  const { brokerAdministrator: password } = ensureSecrets(state);
  return { ...at, logs: state.logs, password, ports, tls: await openTls(state), throwaway: false, abort };
}

/**
 * The ports of the services that declare one, except the gateway's. In this order: `<SERVICE>_PORT`, the previous port,
 * the declared port, any free port.
 */
export async function claimServicePorts(
  state: StateFolder,
  apps: readonly Pick<App, 'name' | 'manifest'>[],
  user = process.env,
): Promise<Record<string, number>> {
  const ports: Record<string, number> = {};
  for (const { name, manifest } of apps) {
    if (!manifest.port || name === 'gateway') continue;
    ports[name] = await claimServicePort(state, name, manifest.port, user);
  }
  return ports;
}

async function claimServicePort(
  state: StateFolder,
  name: string,
  declared: number,
  user: NodeJS.ProcessEnv,
): Promise<number> {
  const variable = `${name.replaceAll('-', '_').toUpperCase()}_PORT`;
  const chosen = user[variable];
  if (chosen) {
    const port = Number(chosen);
    if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
    throw new UsageError(`${variable} is "${chosen}": it must be a number from 1 to 65535.`);
  }
  const claimed = await claimPorts([name], { [name]: declared, ...readKeptPorts(state) });
  keepPorts(state, claimed);
  return claimed[name]!;
}

const defaultPorts: Record<string, string> = {
  'amqp:': '5672',
  'amqps:': '5671',
  'http:': '80',
  'https:': '443',
};

/** Addresses of the store's broker and database as host:port, including all private ports. */
export function getBackingEndpoints(
  state: StateFolder,
  broker: Pick<BackingService, 'url' | 'managementUrl'>,
  database: Pick<BackingService, 'url'>,
): string[] {
  const urls = [broker.url, broker.managementUrl ?? broker.url, database.url].map((url) => new URL(url));
  const inUse = urls.map(
    ({ hostname, port, protocol }) => `${hostname}:${port || (defaultPorts[protocol] ?? '5432')}`,
  );
  const own = Object.values(readKeptPorts(state)).map((port) => `127.0.0.1:${port}`);
  return [...new Set([...inUse, ...own])];
}

export async function prepareDatabase(state: StateFolder): Promise<DatabaseConfiguration> {
  const { postgres } = await claimPorts(['postgres'], readKeptPorts(state));
  keepPorts(state, { postgres });
  const { databaseAdministrator: password } = ensureSecrets(state);
  const folder = join(state.folder, 'postgres');
  return {
    folder,
    logs: state.logs,
    id: state.id,
    password,
    port: postgres,
    tls: await openTls(state),
    throwaway: false,
  };
}
