import { readSetting } from '@jogakbo/service/environment';
import { ensureBrokerLogins } from './broker-logins.ts';
import { Fault } from './fault.ts';
import { printable } from './printable.ts';
import { readRun } from './run-record.ts';
import { openSecrets, openState } from './state.ts';
import { brokerUrlOf } from './store-access.ts';
import { listApps } from './workspace.ts';

/** A secret of the environment, or of the file that the environment names. @throws Fault that says what is wrong */
function readSecretSetting(name: string): string | undefined {
  const read = readSetting(name, process.env, true);
  if ('problem' in read) throw new Fault(`${name} (${read.origin}): ${read.problem}.`);
  return read.value;
}

function readPasswords(): Record<string, string> {
  try {
    return JSON.parse(readSecretSetting('BROKER_PASSWORDS') ?? '{}') as Record<string, string>;
  } catch (error) {
    // What is not JSON may be a secret nonetheless.
    if (error instanceof SyntaxError)
      throw new Fault('BROKER_PASSWORDS is not JSON: {"service":"password"}.');
    throw error;
  }
}

/**
 * The deploy step for the broker alone: what `start` does, for those who run the services in another way. Passwords are
 * those of BROKER_PASSWORDS, {"service":"password"}, or of BROKER_PASSWORDS_FILE, else those that this store keeps.
 */
export async function logins(): Promise<number> {
  const state = openState();
  const apps = listApps();
  const secrets = openSecrets(
    state,
    apps.map(({ name }) => name),
  );
  Object.assign(secrets.brokerLogins, readPasswords());
  const url = process.env.RABBITMQ_URL_FILE ? readSecretSetting('RABBITMQ_URL') : undefined;
  const broker = url
    ? { kind: 'given', url }
    : { kind: 'given', ...readRun(state)?.broker, url: brokerUrlOf(state) };
  const { remark, operator } = await ensureBrokerLogins(broker, apps, secrets, state.id);
  if (remark && operator === undefined) throw new Fault(remark);
  if (remark) console.error(printable(remark));
  console.log(`${apps.length} services have logins of their own: ${apps.map(({ name }) => name).join(', ')}`);
  return 0;
}
