import { EncryptionKeys } from '@jogakbo/messaging/grants';
import { readSetting } from '@jogakbo/service/environment';
import { ensureBrokerLogins, getPublicKeys } from '../backing/rabbitmq/broker-logins.ts';
import { CliError } from '../terminal/cli-error.ts';
import { toPrintable } from '../terminal/printable.ts';
import { readRun } from '../supervisor/run-record.ts';
import { ensureSecrets, openState } from '../supervisor/state.ts';
import { getBrokerUrl } from '../supervisor/store-access.ts';
import { listApps } from '../workspace.ts';

/** Reads a secret from an environment variable or from the file that <NAME>_FILE names. @throws CliError if it is invalid */
function readSecretSetting(name: string): string | undefined {
  const read = readSetting(name, process.env, true);
  if ('problem' in read) throw new CliError(`${name} (${read.origin}): ${read.problem}.`);
  return read.value;
}

/** @throws CliError without the value, because an invalid value may still contain secrets */
function readByService<T>(name: string, parse: (value: unknown) => T, form: string): Record<string, T> {
  const text = readSecretSetting(name);
  try {
    const entries = Object.entries(JSON.parse(text ?? '{}') as Record<string, unknown>);
    return Object.fromEntries(entries.map(([service, value]) => [service, parse(value)]));
  } catch {
    throw new CliError(`${name} must be JSON of the form {"service":${form}}.`);
  }
}

function parseText(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new TypeError('not a string');
}

/** Public keys of services on other machines: derived from SERVICE_KEYS, or listed in ENCRYPTION_KEYS. */
function readEncryptionKeys(): Record<string, EncryptionKeys> {
  const serviceKeys = readByService('SERVICE_KEYS', parseText, '"service key"');
  const publicKeys = readByService('ENCRYPTION_KEYS', (value) => EncryptionKeys.parse(value), '[JWK]');
  return { ...getPublicKeys(serviceKeys), ...publicKeys };
}

/**
 * The broker part of `start` as a separate deploy step. Passwords come from BROKER_PASSWORDS, {"service":"password"}. Public
 * keys come from SERVICE_KEYS, {"service":"service key"}, or from ENCRYPTION_KEYS, {"service":[JWK]}, as printed by
 * `main.js keys` of each service. Each may be in a file that <NAME>_FILE names. Without BROKER_PASSWORDS, the stored
 * passwords and keys of this store are used.
 */
export async function logins(): Promise<number> {
  const state = openState();
  const apps = listApps();
  const secrets = ensureSecrets(
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
  if (remark) console.error(toPrintable(remark));
  console.log(`${apps.length} services have their own logins: ${apps.map(({ name }) => name).join(', ')}`);
  return 0;
}
