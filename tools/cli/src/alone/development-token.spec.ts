import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { GetJwks } from '@jogakbo/contracts-identity';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { openState, type StateFolder } from '../supervisor/state.ts';
import { developmentMemberId, getDevelopmentKey, signDevelopmentToken } from './development-token.ts';

let state: StateFolder;
beforeEach(() => {
  state = openState(mkdtempSync(join(tmpdir(), 'jogakbo-token-')));
});
afterEach(() => rmSync(state.folder, { recursive: true }));

it('a development token is verified with the key of its state folder, also after the next start', async () => {
  const token = await signDevelopmentToken(state, 'http://localhost:3000', ['member', 'operator']);
  const { keys } = GetJwks.output.parse({ keys: [getDevelopmentKey(state)] });
  const { payload } = await jwtVerify(token, createLocalJWKSet({ keys }), {
    issuer: 'http://localhost:3000',
    audience: 'jogakbo',
    algorithms: ['ES256'],
  });
  expect(payload).toMatchObject({ sub: developmentMemberId, roles: ['member', 'operator'] });
});

it('only its owner can read the private key, and the public key does not contain it', () => {
  expect(getDevelopmentKey(state)).not.toHaveProperty('d');
  const { mode } = statSync(join(state.folder, 'development-key.json'));
  expect((mode & 0o777).toString(8)).toBe('600');
});
