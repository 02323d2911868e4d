import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { consistencyMigrations, eventStoreMigrations, projection } from '@jogakbo/consistency';
import { service } from '@jogakbo/contract';
import { Service, start, type RunningService } from '@jogakbo/service';
import { createPrivateBroker, createPrivateDatabase, type Private } from '@jogakbo/testing';

const pages = projection('pages', 1, 'CREATE TABLE page (id text PRIMARY KEY)');

@Service({
  contract: service('library'),
  migrations: [...consistencyMigrations, ...eventStoreMigrations],
  handlers: [],
  projections: [pages],
})
class LibraryModule {}

let backing: Private[];
let library: RunningService;
beforeAll(async () => {
  backing = await Promise.all([createPrivateBroker(), createPrivateDatabase()]);
});
afterAll(async () => {
  await library?.stop();
  await Promise.all(backing.map((one) => one.drop()));
});

it('a service with projections starts before its migrations have run, and says so', async () => {
  library = await start(LibraryModule, {
    environment: {
      LOG_LEVEL: 'error',
      LOCAL_MODE: 'true',
      SERVICE_KEY: randomBytes(32).toString('base64url'),
      RABBITMQ_URL: backing[0]!.url,
      DATABASE_URL: backing[1]!.url,
    },
  });
  const response = await fetch(`${library.url}/health/ready`);
  expect(response.status).toBe(503);
  expect(await response.text()).toContain('some migrations have not run');
});
