import { createHash, randomBytes } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { CliError, toMessage } from '../terminal/cli-error.ts';
import { quoteForShell } from '../terminal/printable.ts';
import { root } from '../workspace.ts';

/** The state folder: everything a store keeps on this machine. Stores with different folders are independent. */
export interface StateFolder {
  folder: string;
  logs: string;
  /** Short, stable and unique per folder: for names in shared places. */
  id: string;
}

export function openState(folder = process.env.JOGAKBO_HOME ?? join(root, '.jogakbo')): StateFolder {
  const path = resolve(folder);
  const state = {
    folder: path,
    logs: join(path, 'logs'),
    id: createHash('sha256').update(path).digest('hex').slice(0, 10),
  };
  try {
    // Other users may traverse the folder (the database may run as another user) but not list it. Every secret has mode 0600.
    makeFolder(path, 0o711);
    makeFolder(state.logs, 0o700);
    accessSync(path, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new CliError(`The state folder ${path} cannot be written to: ${toMessage(error)}.`, {
      remedies: [
        'use another folder:  JOGAKBO_HOME=<your folder> npm start',
        ...(existsSync(path)
          ? [`or take ownership of it:  sudo chown -R "$(id -un)" ${quoteForShell(path)}`]
          : []),
      ],
    });
  }
  return state;
}

/** Creates a folder and its parents. Node's recursive mkdir loops forever where the system fails with ENOENT, as in /proc. */
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
 * Reads passwords or keys. They must not be recreated after a read error, because other systems hold the old ones.
 * @returns undefined if there is no file @throws CliError if the file is invalid
 */
export function readKept<T extends object>(path: string): T | undefined {
  if (!existsSync(path)) return undefined;
  const kept = readJson<T>(path);
  if (typeof kept === 'object' && kept !== null) return kept;
  throw new CliError(`${path} is not valid JSON or cannot be read.`, {
    remedies: [
      'restore it from a backup',
      `or start without its content:  mv ${quoteForShell(path)} ${quoteForShell(`${path}.broken`)}`,
    ],
  });
}

/** Writes the file atomically. */
export function writeJson(path: string, value: unknown): void {
  const draft = `${path}.${process.pid}.tmp`;
  writeFileSync(draft, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, path);
}

/** Creates a file with its content at once. @returns false if it exists */
export function createExclusively(path: string, value: unknown): boolean {
  const draft = `${path}.${process.pid}.claim`;
  writeFileSync(draft, JSON.stringify(value, null, 2), { mode: 0o600 });
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Removes a file if its content fulfils a condition. A file that another process has created in the meantime stays. */
export function removeIf<T>(path: string, condition: (content: T | undefined) => boolean): void {
  // Moved before it is read: between reading and removing, another process could create it anew.
  const moved = `${path}.${process.pid}.stale`;
  try {
    renameSync(path, moved);
  } catch {
    return; // another process has removed it
  }
  if (!condition(readJson<T>(moved))) {
    try {
      linkSync(moved, path);
    } catch {
      // a third process has created it
    }
  }
  rmSync(moved, { force: true });
}

/** The content of secrets.json. Services are keys of the records. */
export interface Secrets {
  /** The password of the administrator of the private broker. */
  brokerAdministrator: string;
  /** The password of the administrator of the private database. */
  databaseAdministrator: string;
  databasePasswords: Record<string, string>;
  brokerPasswords: Record<string, string>;
  /**
   * The key of each service: 32 bytes in base64url. To rotate it, prepend the new key and a comma, then stop and start the
   * store: `jogakbo restart` keeps the environment of the start.
   */
  serviceKeys: Record<string, string>;
}

export const generatePassword = (): string => randomBytes(24).toString('base64url');

const getSecretsFile = (state: StateFolder): string => join(state.folder, 'secrets.json');

/** What earlier versions called the secrets. */
const earlierNames = {
  brokerAdministrator: 'broker',
  databaseAdministrator: 'database',
  databasePasswords: 'services',
  brokerPasswords: 'brokerLogins',
  serviceKeys: 'serviceKeys',
} as const satisfies Record<keyof Secrets, string>;

/** Reads the stored secrets without generating missing ones. @throws CliError if the file is invalid */
export function readSecrets(state: StateFolder): Partial<Secrets> | undefined {
  const kept = readKept<Record<string, unknown>>(getSecretsFile(state));
  if (!kept) return undefined;
  return Object.fromEntries(
    Object.entries(earlierNames).map(([name, earlier]) => [name, kept[name] ?? kept[earlier]]),
  );
}

/**
 * Generates missing secrets once and stores them. Without the file, all secrets are new. Only for commands that hold the
 * run record or prepare a deployment: two that generate at the same time would overwrite each other's secrets. All others
 * use readSecrets.
 * @param services that need passwords and a key
 * @throws CliError if the file is invalid
 */
export function ensureSecrets(state: StateFolder, services: readonly string[] = []): Secrets {
  const kept = readSecrets(state) ?? {};
  const secrets: Secrets = {
    brokerAdministrator: kept.brokerAdministrator ?? generatePassword(),
    databaseAdministrator: kept.databaseAdministrator ?? generatePassword(),
    databasePasswords: { ...kept.databasePasswords },
    brokerPasswords: { ...kept.brokerPasswords },
    serviceKeys: { ...kept.serviceKeys },
  };
  for (const service of services) {
    secrets.databasePasswords[service] ??= generatePassword();
    secrets.brokerPasswords[service] ??= generatePassword();
    secrets.serviceKeys[service] ??= randomBytes(32).toString('base64url');
  }
  if (!isDeepStrictEqual(secrets, kept)) writeJson(getSecretsFile(state), secrets);
  return secrets;
}

/** Removes the secrets of a service that was removed. The same rule as for ensureSecrets applies to its callers. */
export function forgetSecrets(state: StateFolder, service: string): void {
  const kept = readSecrets(state) ?? {};
  const remaining = Object.entries(kept).map(([name, value]) => {
    if (typeof value !== 'object') return [name, value] as const;
    const { [service]: _removed, ...others } = value;
    return [name, others] as const;
  });
  writeJson(getSecretsFile(state), Object.fromEntries(remaining));
}

export const hasSecrets = (state: StateFolder): boolean => existsSync(getSecretsFile(state));

/** The ports of the last start by name: those of broker and database, of services, and `public`, which is the gateway's. */
export const readKeptPorts = (state: StateFolder): Record<string, number> =>
  readJson(join(state.folder, 'ports.json')) ?? {};

export function keepPorts(state: StateFolder, ports: Record<string, number>): void {
  writeJson(join(state.folder, 'ports.json'), { ...readKeptPorts(state), ...ports });
}
