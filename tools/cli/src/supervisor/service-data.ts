import { exchanges, queues } from '@jogakbo/messaging/topology';
import { deleteServiceDatabase } from '../backing/postgres/service-databases.ts';
import { findManagement } from '../backing/rabbitmq/broker-management.ts';
import { getPublicKeys, runDeployStep } from '../backing/rabbitmq/deploy-step.ts';
import { CliError } from '../terminal/cli-error.ts';
import { listApps } from '../workspace.ts';
import { forgetConfigClient } from './config-secrets.ts';
import { findRunningStore } from './running-state.ts';
import { getAdministratorUrl, getStoreBrokerUrl } from './store-access.ts';
import { forgetSecrets, readSecrets, type Secrets, type StateFolder } from './state.ts';

/** Whether the store has made secrets for the service, and thus perhaps a database and queues. */
export const hasServiceData = (state: StateFolder, service: string): boolean =>
  readSecrets(state)?.databasePasswords?.[service] !== undefined;

/** The data of a service, in lines. */
export const describeServiceData = (service: string): string[] => [
  `its database ${service} with all rows`,
  `its queues ${['commands', 'events', 'queries', 'dead'].map((kind) => `${service}.${kind}`).join(', ')} with all messages`,
  'its login at the broker and at the database, and their secrets in the state folder',
];

/**
 * Deletes the data of a service that does not run: database, queues, exchanges, logins and secrets. Settings of the config
 * server and logs stay. Repeating it after a failure deletes the rest.
 * @returns what was deleted, in lines
 * @throws CliError if the store does not run, or if its servers belong to another store
 */
export async function deleteServiceData(state: StateFolder, service: string): Promise<string[]> {
  const { broker, database } = findRunningStore(state) ?? {};
  if (!broker || !database)
    throw new CliError('The store is not running.', { remedies: ['start it:  npm start'] });
  const secrets = readSecrets(state) as Secrets;
  const server = { ...database, url: getAdministratorUrl(state) };
  const done = [await deleteServiceDatabase(server, service, state.id)];
  const at = { ...broker, url: getStoreBrokerUrl(state) };
  // Ends its registration: its routes are free for other services.
  await runDeployStep(
    at,
    listApps(),
    { ...secrets, encryptionKeys: getPublicKeys(secrets.serviceKeys) },
    state.id,
  );
  const found = await findManagement(at, secrets.brokerAdministrator);
  if (found.management) {
    const all = (await found.management.queues()).map(({ name }) => name);
    const own = all.filter((name) => isQueueOf(service, name));
    for (const name of own) await found.management.delete('queues', name);
    for (const getName of Object.values(exchanges))
      await found.management.delete('exchanges', getName(service));
    await found.management.deleteUser(service);
    done.push(`deleted ${own.length} queues and the login ${service} at the broker`);
  } else {
    done.push(`the queues and the login ${service} stay at the broker: ${found.reason}`);
  }
  forgetSecrets(state, service);
  forgetConfigClient(state, service);
  return [...done, 'deleted its secrets'];
}

/** Whether a queue belongs to the service, also one of a version of it, or one of messages that wait for a retry. */
function isQueueOf(service: string, name: string): boolean {
  const [unversioned = ''] = name.split('@');
  const { commands, events, queries, dead } = queues;
  const own = [commands(service), events(service), queries(service), dead(service)];
  return own.includes(unversioned) || (name.startsWith(`retry.${service}.`) && name.endsWith('ms'));
}
