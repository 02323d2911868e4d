import { EncryptionKeys } from '@jogakbo/messaging/grants';
import { readSetting } from '@jogakbo/service/environment';
import { ensureBrokerLogins, getPublicKeys } from '../backing/rabbitmq/broker-logins.ts';
import { CliError } from '../terminal/cli-error.ts';
import { printable } from '../terminal/printable.ts';
import { readRun } from '../supervisor/run-record.ts';
import { openSecrets, openState } from '../supervisor/state.ts';
import { getBrokerUrl } from '../supervisor/store-access.ts';
import { listApps } from '../workspace.ts';

/** A secret of the environment, or of the file that the environment names. @throws Fault that says what is wrong */
function readSecretSetting(name: string): string | undefined {
  const read = readSetting(name, process.env, true);
  if ('problem' in read) throw new CliError(`${name} (${read.origin}): ${read.problem}.`);
  return read.value;
}

/** @throws Fault that quotes nothing: what is not of the form may be a secret nonetheless */
function readByService<T>(name: string, parse: (value: unknown) => T, form: string): Record<string, T> {
  const text = readSecretSetting(name);
  try {
    const entries = Object.entries(JSON.parse(text ?? '{}') as Record<string, unknown>);
    return Object.fromEntries(entries.map(([service, value]) => [service, parse(value)]));
  } catch {
    throw new CliError(`${name} is not JSON of the form {"service":${form}}.`);
  }
}

function parseText(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new TypeError('not a string');
}

/** The public keys of services that run elsewhere: those of their service keys, and those that are given as such. */
function readEncryptionKeys(): Record<string, EncryptionKeys> {
  const serviceKeys = readByService('SERVICE_KEYS', parseText, '"service key"');
  const publicKeys = readByService('ENCRYPTION_KEYS', (value) => EncryptionKeys.parse(value), '[JWK]');
  return { ...getPublicKeys(serviceKeys), ...publicKeys };
}

/**
 * The deploy step for the broker alone: what `start` does, for those who run the services in another way. Passwords are
 * those of BROKER_PASSWORDS, {"service":"password"}; public keys are those of SERVICE_KEYS, {"service":"service key"}, or
 * of ENCRYPTION_KEYS, {"service":[JWK]}, which `main.js keys` of each service prints. Each may be in a file that
 * <NAME>_FILE names. Without BROKER_PASSWORDS, passwords and keys are those that this store keeps.
 */
export async function logins(): Promise<number> {
  const state = openState();
  const apps = listApps();
  const secrets = openSecrets(
    state,
    apps.map(({ name }) => name),
  );
  const passwords = readByService('BROKER_PASSWORDS', parseText, '"password"');
  Object.assign(secrets.brokerLogins, passwords);
  const encryptionKeys = {
    ...(Object.keys(passwords).length > 0 ? {} : getPublicKeys(secrets.serviceKeys)),
    ...readEncryptionKeys(),
  };
  const url = process.env.RABBITMQ_URL_FILE ? readSecretSetting('RABBITMQ_URL') : undefined;
  const broker = url
    ? { kind: 'given', url }
    : { kind: 'given', ...readRun(state)?.broker, url: getBrokerUrl(state) };
  const { remark, operator } = await ensureBrokerLogins(
    broker,
    apps,
    { ...secrets, encryptionKeys },
    state.id,
  );
  if (remark && operator === undefined) throw new CliError(remark);
  if (remark) console.error(printable(remark));
  console.log(`${apps.length} services have logins of their own: ${apps.map(({ name }) => name).join(', ')}`);
  return 0;
}
