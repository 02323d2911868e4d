import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { consistencyMigrations, eventStoreMigrations, projection } from '@jogakbo/consistency';
import { service } from '@jogakbo/contract';
import { Service, start, type RunningService } from '@jogakbo/service';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { createDataSource } from '@jogakbo/service/data-source';
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

class First1700000000001 implements MigrationInterface {
  readonly name = 'First1700000000001';
  up = (runner: QueryRunner) => runner.query('CREATE TABLE shelf (id text PRIMARY KEY)');
  down = async () => undefined;
}
class Failing1700000000002 implements MigrationInterface {
  readonly name = 'Failing1700000000002';
  up = (runner: QueryRunner) => runner.query('ALTER TABLE missing ADD COLUMN id text');
  down = async () => undefined;
}

it('migrations leave the schema as it was if one of them fails', async () => {
  @Service({
    contract: service('shelves'),
    migrations: [First1700000000001, Failing1700000000002],
    handlers: [],
  })
  class ShelvesModule {}
  const database = await createPrivateDatabase();
  const dataSource = createDataSource(ShelvesModule, { databaseUrl: database.url, databasePool: 2 });
  await dataSource.initialize();
  await expect(dataSource.runMigrations()).rejects.toThrow('missing');
  await expect(dataSource.query(`SELECT to_regclass('shelf') AS shelf`)).resolves.toEqual([{ shelf: null }]);
  await dataSource.destroy();
  await database.drop();
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
