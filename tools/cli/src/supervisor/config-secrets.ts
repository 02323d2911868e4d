import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generatePassword, readKept, type StateFolder, writeJson } from './state.ts';
import { type App } from '../workspace.ts';

/** Credentials and encryption key of the config server and its clients. */
export interface ConfigSecrets {
  /** By service name. */
  passwords: Record<string, string>;
  /** Contains the encryption key of secret settings. Without it they cannot be decrypted. */
  keyFile: string;
  clientsFile: string;
}

const getClientsFile = (state: StateFolder): string => join(state.folder, 'config-clients.json');

/** @throws CliError if the file is invalid */
export const readConfigClients = (state: StateFolder): Record<string, string> | undefined =>
  readKept(getClientsFile(state));

/** Creates missing credentials. Keeps clients added by hand, such as services of another workspace. */
export function ensureConfigSecrets(state: StateFolder, apps: readonly Pick<App, 'name'>[]): ConfigSecrets {
  const keyFile = join(state.folder, 'config-key');
  if (!existsSync(keyFile))
    writeFileSync(keyFile, `${generatePassword()}${generatePassword()}\n`, { mode: 0o600, flag: 'wx' });
  const clientsFile = getClientsFile(state);
  const passwords = readConfigClients(state) ?? {};
  for (const { name } of apps) passwords[name] ??= generatePassword();
  writeJson(clientsFile, passwords);
  return { passwords, keyFile, clientsFile };
}

/** Removes the credentials of a service that was removed. */
export function forgetConfigClient(state: StateFolder, service: string): void {
  const { [service]: _removed, ...others } = readConfigClients(state) ?? {};
  writeJson(getClientsFile(state), others);
}
