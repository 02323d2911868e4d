import { createHash, randomBytes } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { CliError, toMessage } from '../terminal/cli-error.ts';
import { root } from '../workspace.ts';

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
  try {
    // Others may pass through (the database may run as another user) but not look around; every secret is closed by itself.
    makeFolder(path, 0o711);
    makeFolder(state.logs, 0o700);
    accessSync(path, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new CliError(`The state folder ${path} cannot be written to: ${toMessage(error)}.`, {
      remedies: [
        'keep the state elsewhere:  JOGAKBO_HOME=<a folder of yours> npm start',
        ...(existsSync(path) ? [`or make it yours:  sudo chown -R "$(id -un)" ${path}`] : []),
      ],
    });
  }
  return state;
}

/** Makes a folder and those above it, one at a time: Node's recursive mkdir never ends where the system refuses with ENOENT, as in /proc. */
function makeFolder(path: string, mode: number): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  if (dirname(path) !== path) makeFolder(dirname(path), mode);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !statSync(path).isDirectory()) throw error;
  }
}

export function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch {
    return undefined;
  }
}

/**
 * What must not be made anew when it cannot be read, for others hold the old one: passwords, keys.
 * @returns undefined where there is no file @throws Fault where it is broken
 */
export function readKept<T extends object>(path: string): T | undefined {
  if (!existsSync(path)) return undefined;
  const kept = readJson<T>(path);
  if (typeof kept === 'object' && kept !== null) return kept;
  throw new CliError(`${path} is broken: it is not JSON, or cannot be read.`, {
    remedies: ['put it back from a copy', `or begin anew without what it held:  mv ${path} ${path}.broken`],
  });
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

const getSecretsFile = (state: State): string => join(state.folder, 'secrets.json');

/** What is kept of them; nothing is made. @throws Fault where the file is broken */
export const readSecrets = (state: State): Partial<Secrets> | undefined => readKept(getSecretsFile(state));

/** Generated once; a file that was lost is a new store with new passwords. */
export function openSecrets(state: State, services: readonly string[] = []): Secrets {
  const kept = readSecrets(state) ?? {};
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
  writeJson(getSecretsFile(state), secrets);
  return secrets;
}

export const hasSecrets = (state: State): boolean => existsSync(getSecretsFile(state));

/** `public` is the gateway's: chosen once, it is the one of the next start too. */
export type PortName = 'public' | 'amqp' | 'management' | 'distribution' | 'epmd' | 'postgres' | 'registry';

export const keptPorts = (state: State): Partial<Record<PortName, number>> =>
  readJson(join(state.folder, 'ports.json')) ?? {};

export function keepPorts(state: State, ports: Partial<Record<PortName, number>>): void {
  writeJson(join(state.folder, 'ports.json'), { ...keptPorts(state), ...ports });
}
