import { EncryptionKeys } from '@jogakbo/messaging/grants';
import { type Broker } from '../backing/rabbitmq/broker-management.ts';
import { runDeployStep, getPublicKeys } from '../backing/rabbitmq/deploy-step.ts';
import { readSecretSetting } from '../supervisor/secret-setting.ts';
import { CliError } from '../terminal/cli-error.ts';
import { toPrintable } from '../terminal/printable.ts';
import { ensureSecrets, openState, readSecrets, type StateFolder } from '../supervisor/state.ts';
import { findRunningStore } from '../supervisor/running-state.ts';
import { getBrokerUrl } from '../supervisor/store-access.ts';
import { listApps } from '../workspace.ts';

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
 * The broker part of `start` as a separate deploy step. With BROKER_PASSWORDS, {"service":"password"}, it changes only the
 * logins named there. Without, it uses the stored passwords and keys of this store for all services. Public keys come from
 * SERVICE_KEYS, {"service":"service key"}, or from ENCRYPTION_KEYS, {"service":[JWK]}, as printed by `main.js keys` of each
 * service. Each may be in a file that <NAME>_FILE names.
 */
export async function logins(): Promise<number> {
  const state = openState();
  const broker = findBroker(state);
  const names = listApps().map(({ name }) => name);
  const passwords = readByService('BROKER_PASSWORDS', parseText, '"password"');
  const isElsewhere = Object.keys(passwords).length > 0;
  const secrets = isElsewhere
    ? {
        brokerPasswords: passwords,
        brokerAdministrator: readSecrets(state)?.brokerAdministrator ?? '',
        serviceKeys: {},
      }
    : ensureSecrets(state, names);
  const encryptionKeys = { ...getPublicKeys(secrets.serviceKeys), ...readEncryptionKeys() };
  const { remark, brokerOperator } = await runDeployStep(
    broker,
    listApps(),
    { ...secrets, encryptionKeys },
    state.id,
  );
  if (remark && brokerOperator === undefined) throw new CliError(remark);
  if (remark) console.error(toPrintable(remark));
  const [changed, unchanged] = [true, false].map((has) =>
    names.filter((name) => (secrets.brokerPasswords[name] !== undefined) === has),
  ) as [string[], string[]];
  console.log(`${changed.length} services have their own logins: ${changed.join(', ')}`);
  if (unchanged.length > 0) console.log(`not in BROKER_PASSWORDS, and not changed: ${unchanged.join(', ')}`);
  return 0;
}

/** The broker of RABBITMQ_URL or RABBITMQ_URL_FILE, else the one of the store running here. */
function findBroker(state: StateFolder): Broker {
  const url = readSecretSetting('RABBITMQ_URL');
  if (url) return { kind: 'external', url };
  return { kind: 'external', ...findRunningStore(state)?.broker, url: getBrokerUrl(state) };
}
