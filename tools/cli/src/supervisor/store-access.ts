import pg from 'pg';
import { CliError, toMessage } from '../terminal/cli-error.ts';
import { brokerUser } from '../backing/rabbitmq/private-broker.ts';
import { readRun, supervisorLives, type RunRecord } from './run-record.ts';
import { buildUrl } from '../backing/postgres/service-databases.ts';
import { openSecrets, type State } from './state.ts';
import { withCertificate } from '../backing/tls/store-tls.ts';

function findRun(state: State): RunRecord | undefined {
  const run = readRun(state);
  return run && supervisorLives(run) ? run : undefined;
}

const notRunning = () =>
  new CliError('The store is not running.', {
    remedies: [
      'start it:  npm start',
      'or name the broker of one that runs elsewhere:  RABBITMQ_URL=amqp://user:password@host:5672',
    ],
  });

/** The broker of the store that runs here, else that of RABBITMQ_URL. */
export function getBrokerUrl(state: State): string {
  const broker = findRun(state)?.broker;
  // The password of a given broker is kept nowhere.
  if (!broker || broker.kind === 'given') {
    if (process.env.RABBITMQ_URL) return process.env.RABBITMQ_URL;
    if (!broker) throw notRunning();
    throw new CliError(`The store runs on ${broker.title}, whose password is kept nowhere.`, {
      remedies: ['set RABBITMQ_URL as it was set at the start, and run the command again'],
    });
  }
  if (broker.tls) return withCertificate(broker.url, broker.tls, brokerUser);
  const url = new URL(broker.url);
  url.username = brokerUser;
  url.password = openSecrets(state).broker;
  return url.href;
}

/** Works in the database of a service, with the service's own login. @throws Fault that says what to do */
export async function withDatabase<T>(
  state: State,
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
    throw new CliError(`The database of ${service} does not let it: ${toMessage(error)}.`, {
      remedies: ['npx jogakbo ps', `npx jogakbo logs ${service}`],
    });
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** The login of a service for its own database, in the store that runs here. */
export function getDatabaseUrl(state: State, service: string): string {
  const database = findRun(state)?.database;
  if (!database) throw new CliError('The store is not running.', { remedies: ['start it:  npm start'] });
  const password = openSecrets(state, [service]).services[service]!;
  return buildUrl(database, service, password);
}
