import { ensureBrokerLogins } from './broker-logins.ts';
import { Fault } from './fault.ts';
import { readRun } from './run-record.ts';
import { openSecrets, openState } from './state.ts';
import { brokerUrlOf } from './store-access.ts';
import { listApps } from './workspace.ts';

/** The environment variable that holds the password of a service at the broker. */
const passwordName = (service: string): string =>
  `${service.toUpperCase().replaceAll('-', '_')}_BROKER_PASSWORD`;

/**
 * The deploy step for the broker alone: what `start` does, for those who run the services in another way. Passwords are
 * those of the environment (ORDERS_BROKER_PASSWORD), else those that this store keeps.
 */
export async function logins(): Promise<number> {
  const state = openState();
  const apps = listApps();
  const secrets = openSecrets(
    state,
    apps.map(({ name }) => name),
  );
  for (const { name } of apps)
    secrets.brokerLogins[name] = process.env[passwordName(name)] ?? secrets.brokerLogins[name]!;
  const broker = { kind: 'given', ...readRun(state)?.broker, url: brokerUrlOf(state) };
  const { remark, operator } = await ensureBrokerLogins(broker, apps, secrets, state.id);
  if (remark && operator === undefined) throw new Fault(remark);
  if (remark) console.error(remark);
  console.log(`${apps.length} services have logins of their own: ${apps.map(({ name }) => name).join(', ')}`);
  return 0;
}
