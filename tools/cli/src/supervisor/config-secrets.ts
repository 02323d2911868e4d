import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { password, readKept, type State, writeJson } from './state.ts';
import { type App } from '../workspace.ts';

/** What the config server and its clients know each other by. */
export interface ConfigSecrets {
  /** Of each service, by its name. */
  passwords: Record<string, string>;
  /** Holds what secrets are encrypted with. Without it they are lost. */
  keyFile: string;
  clientsFile: string;
}

const getClientsFile = (state: State): string => join(state.folder, 'config-clients.json');

/** @throws Fault where the file is broken */
export const readConfigClients = (state: State): Record<string, string> | undefined =>
  readKept(getClientsFile(state));

/** Made once. A client that was added to the file by hand, such as a service of another workspace, stays. */
export function ensureConfigSecrets(state: State, apps: readonly Pick<App, 'name'>[]): ConfigSecrets {
  const keyFile = join(state.folder, 'config-key');
  if (!existsSync(keyFile))
    writeFileSync(keyFile, `${password()}${password()}\n`, { mode: 0o600, flag: 'wx' });
  const clientsFile = getClientsFile(state);
  const passwords = readConfigClients(state) ?? {};
  for (const { name } of apps) passwords[name] ??= password();
  writeJson(clientsFile, passwords);
  return { passwords, keyFile, clientsFile };
}
