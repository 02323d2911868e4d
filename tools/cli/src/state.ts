import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { root } from './workspace.ts';

/** Everything a store keeps on this machine. Two stores with different folders know nothing of each other. */
export interface State {
  folder: string;
  logs: string;
  /** Short, stable, unique to the folder: for names in places that stores share. */
  id: string;
}

export function openState(folder = process.env.JOGAKBO_HOME ?? join(root, '.jogakbo')): State {
  const path = resolve(folder);
  const state = {
    folder: path,
    logs: join(path, 'logs'),
    id: createHash('sha256').update(path).digest('hex').slice(0, 10),
  };
  // Others may pass through (the database may run as another user) but not look around; every secret is closed by itself.
  mkdirSync(path, { recursive: true, mode: 0o711 });
  mkdirSync(state.logs, { recursive: true, mode: 0o700 });
  return state;
}

export function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch {
    return undefined;
  }
}

/** Readers see the old content or the new one, never half of it. */
export function writeJson(path: string, value: unknown): void {
  const draft = `${path}.${process.pid}.tmp`;
  writeFileSync(draft, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, path);
}

export interface Secrets {
  broker: string;
  database: string;
  services: Record<string, string>;
  /** Of each service at the broker. */
  brokerLogins: Record<string, string>;
  /** Of each service: 32 bytes in base64url. To rotate one, put the new key and a comma before it. */
  serviceKeys: Record<string, string>;
}

export const password = (): string => randomBytes(24).toString('base64url');

/** Generated once; a file that was lost is a new store with new passwords. */
export function openSecrets(state: State, services: readonly string[] = []): Secrets {
  const path = join(state.folder, 'secrets.json');
  const kept = readJson<Partial<Secrets>>(path) ?? {};
  const secrets: Secrets = {
    broker: kept.broker ?? password(),
    database: kept.database ?? password(),
    services: { ...kept.services },
    brokerLogins: { ...kept.brokerLogins },
    serviceKeys: { ...kept.serviceKeys },
  };
  for (const service of services) {
    secrets.services[service] ??= password();
    secrets.brokerLogins[service] ??= password();
    secrets.serviceKeys[service] ??= randomBytes(32).toString('base64url');
  }
  writeJson(path, secrets);
  return secrets;
}

export const hasSecrets = (state: State): boolean => existsSync(join(state.folder, 'secrets.json'));

export type PortName = 'amqp' | 'management' | 'distribution' | 'epmd' | 'postgres' | 'registry';

export const keptPorts = (state: State): Partial<Record<PortName, number>> =>
  readJson(join(state.folder, 'ports.json')) ?? {};

export function keepPorts(state: State, ports: Partial<Record<PortName, number>>): void {
  writeJson(join(state.folder, 'ports.json'), { ...keptPorts(state), ...ports });
}
