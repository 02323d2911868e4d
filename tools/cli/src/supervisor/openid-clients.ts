import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type State, writeJson } from './state.ts';

const getFile = (state: State): string => join(state.folder, 'openid-clients.json');

/**
 * Who may send members here to sign in (OpenID Connect). A fresh store knows one app to try it with, on this machine and on
 * any port; the file is its owner's to change. @returns its path
 */
export function ensureOpenIdClients(state: State): string {
  const file = getFile(state);
  const redirectUris = ['http://localhost/callback', 'http://127.0.0.1/callback'];
  if (!existsSync(file)) writeJson(file, [{ clientId: 'example', name: 'Example', redirectUris }]);
  return file;
}
