import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { consistencyMigrations } from '@jogakbo/consistency';
import { service } from '@jogakbo/contract';
import { createDataSource, Service } from '@jogakbo/service';
import { createPrivateDatabase, type Private } from '@jogakbo/testing';
import type { Type } from '@nestjs/common';
import type { DataSource } from 'typeorm';

@Service({ contract: service('library'), migrations: [...consistencyMigrations], handlers: [] })
class LibraryModule {}

let database: Private;
let source: DataSource;
beforeEach(async () => {
  database = await createPrivateDatabase();
  source = await createDataSource(LibraryModule as Type, {
    ...{ databaseUrl: database.url, databasePool: 1 },
  }).initialize();
  await source.query('CREATE VIEW book AS SELECT 1 AS id');
});
afterEach(async () => {
  await source.destroy();
  await database.drop();
});

/** As a projection does that switches to a generation with another type. */
const changeType = async () => {
  await source.query('DROP VIEW book');
  await source.query(`CREATE VIEW book AS SELECT '1'::text AS id`);
};
const readSql = 'SELECT id FROM book WHERE id::text = $1';

it('a query succeeds after the type of a column has changed, on the same connection', async () => {
  await expect(source.query(readSql, ['1'])).resolves.toEqual([{ id: 1 }]);
  await changeType();
  const results = await Promise.all([source.query(readSql, ['1']), source.query(readSql, ['1'])]);
  expect(results).toEqual([[{ id: '1' }], [{ id: '1' }]]);
});

it('a transaction fails once after the type of a column has changed, and its repetition succeeds', async () => {
  const read = () => source.transaction((tx) => tx.query(readSql, ['1']) as Promise<unknown>);
  await expect(read()).resolves.toEqual([{ id: 1 }]);
  await changeType();
  await expect(read()).rejects.toThrow('cached plan must not change result type');
  await expect(read()).resolves.toEqual([{ id: '1' }]);
});
