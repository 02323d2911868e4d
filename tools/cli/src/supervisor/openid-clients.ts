import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type StateFolder, writeJson } from './state.ts';

const getFile = (state: StateFolder): string => join(state.folder, 'openid-clients.json');

/**
 * Creates the file of OpenID Connect clients with one example client for this machine, on any port. Users may edit the
 * file. @returns its path
 */
export function ensureOpenIdClients(state: StateFolder): string {
  const file = getFile(state);
  const redirectUris = ['http://localhost/callback', 'http://127.0.0.1/callback'];
  if (!existsSync(file)) writeJson(file, [{ clientId: 'example', name: 'Example', redirectUris }]);
  return file;
}
