import { mkdtempSync, chmodSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { type BackingService } from '../src/backing/backing-service.ts';
import { provideDatabase } from '../src/backing/postgres/database.ts';
import { findInstalledBroker, startPrivateBroker } from '../src/backing/rabbitmq/private-broker.ts';
import { ensureSecrets, openState } from '../src/supervisor/state.ts';
import { prepareBroker, prepareDatabase } from '../src/supervisor/store-backing.ts';

// Not in the temporary folder of the test: PostgreSQL may run as another user.
const state = openState(mkdtempSync(join(tmpdir(), 'jogakbo-lost-')));
const started: BackingService[] = [];
afterAll(async () => {
  await Promise.all(started.map((service) => service.stop()));
  rmSync(state.folder, { recursive: true });
});

async function startBoth(): Promise<void> {
  started.push(await provideDatabase(await prepareDatabase(state), () => undefined));
  const server = findInstalledBroker();
  if (server) started.push(await startPrivateBroker(server, await prepareBroker(state)));
}
const findLost = (folder: string) =>
  readdirSync(join(state.folder, folder)).filter((name) => name.includes('-of-a-lost-store-'));

it('the data of servers whose passwords are lost is set aside, also if another command made new ones', async () => {
  chmodSync(state.folder, 0o711);
  await startBoth();
  await Promise.all(started.splice(0).map((service) => service.stop()));
  await startBoth();
  expect([findLost('.'), findLost('rabbitmq')]).toEqual([[], []]);
  await Promise.all(started.splice(0).map((service) => service.stop()));
  rmSync(join(state.folder, 'secrets.json'));
  // As `jogakbo logins` does.
  ensureSecrets(state);
  await startBoth();
  expect(findLost('.')).toEqual([expect.stringMatching(/^postgres-of-a-lost-store-\d+$/)]);
  if (findInstalledBroker())
    expect(findLost('rabbitmq')).toEqual([expect.stringMatching(/^data-of-a-lost-store-\d+$/)]);
}, 180_000);
