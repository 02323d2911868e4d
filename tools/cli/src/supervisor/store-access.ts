import pg from 'pg';
import { CliError, toMessage } from '../terminal/cli-error.ts';
import { administratorLogin } from '../backing/backing-service.ts';
import { type RunRecord } from './run-record.ts';
import { buildUrl } from '../backing/postgres/service-databases.ts';
import { findRunningStore } from './running-state.ts';
import { readSecrets, type StateFolder } from './state.ts';
import { withCertificate } from '../backing/tls/store-tls.ts';
import { listApps } from '../workspace.ts';

/** The names of the services of this store, also of one that only `jogakbo serve` runs. */
export const listStoreServices = ({ services, served = [], onlyServes }: RunRecord): string[] => [
  ...services.map(({ name }) => name),
  ...served.map(({ name }) => name),
  ...(onlyServes ? [onlyServes] : []),
];

const createNotRunningError = () =>
  new CliError('The store is not running.', {
    remedies: [
      'start it:  npm start',
      'or set the broker of a store on another machine:  RABBITMQ_URL=amqp://user:password@host:5672',
    ],
  });

/** The broker that a command uses: the one of RABBITMQ_URL, else the one of the store running here. */
export const getBrokerUrl = (state: StateFolder): string =>
  process.env.RABBITMQ_URL || getStoreBrokerUrl(state);

/** The broker of the store running here. If that is an external one, RABBITMQ_URL must be set. */
export function getStoreBrokerUrl(state: StateFolder): string {
  const broker = findRunningStore(state)?.broker;
  if (!broker) throw createNotRunningError();
  // The password of an external broker is not stored.
  if (broker.kind === 'external') {
    if (process.env.RABBITMQ_URL) return process.env.RABBITMQ_URL;
    throw new CliError(`The store runs on ${broker.title}, and its password is not stored.`, {
      remedies: ['set RABBITMQ_URL to the value used at the start, and run the command again'],
    });
  }
  if (broker.tls) return withCertificate(broker.url, broker.tls, administratorLogin);
  const url = new URL(broker.url);
  url.username = administratorLogin;
  url.password = readSecrets(state)?.brokerAdministrator ?? '';
  return url.href;
}

/** The database of the store running here, as its administrator. If that is an external one, DATABASE_URL must be set. */
export function getAdministratorUrl(state: StateFolder): string {
  const database = findRunningStore(state)?.database;
  if (!database) throw createNotRunningError();
  if (database.kind === 'external') {
    if (process.env.DATABASE_URL) return process.env.DATABASE_URL;
    throw new CliError(`The store uses ${database.title}, and its password is not stored.`, {
      remedies: ['set DATABASE_URL to the value used at the start, and run the command again'],
    });
  }
  if (database.tls) return withCertificate(database.url, database.tls, administratorLogin);
  const url = new URL(database.url);
  url.username = administratorLogin;
  url.password = readSecrets(state)?.databaseAdministrator ?? '';
  return url.href;
}

/** Runs `work` on the database of a service, with the service's own login. @throws CliError with a remedy */
export async function withDatabase<T>(
  state: StateFolder,
  service: string,
  as: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({
    connectionString: getDatabaseUrl(state, service),
    application_name: as,
    connectionTimeoutMillis: 5_000,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await work(client);
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(`The database of ${service} cannot be used: ${toMessage(error)}.`, {
      remedies: ['npx jogakbo ps', `npx jogakbo logs ${service}`],
    });
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** The database URL of a service in the store running here, with the service's own login. */
export function getDatabaseUrl(state: StateFolder, service: string): string {
  const database = findRunningStore(state)?.database;
  if (!database) throw new CliError('The store is not running.', { remedies: ['start it:  npm start'] });
  const password = readSecrets(state)?.databasePasswords?.[service];
  const { hasDatabase } = listApps().find(({ name }) => name === service) ?? {};
  if (!hasDatabase || password === undefined) {
    throw new CliError(`${service} has no database in this store.`, { remedies: ['npx jogakbo ps'] });
  }
  return buildUrl(database, service, password);
}
