import pg from 'pg';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { deleteServiceDatabase, ensureServiceDatabases } from '../src/backing/postgres/service-databases.ts';
import { type App } from '../src/workspace.ts';

const name = `guarded-${process.pid}`;
const role = `jogakbo_${name.replace('-', '_')}`;
const server = { kind: 'external' as const, url: process.env.TEST_DATABASE_URL! };
const apps = [{ name, hasDatabase: true }] as App[];
const admin = new pg.Client(server.url);

/** Prepares the database as the store with this id and password. */
const prepare = async (owner: string, password: string) =>
  (await ensureServiceDatabases(server, apps, { [name]: password }, owner))[name]!.url;

async function canLogIn(url: string): Promise<boolean> {
  const client = new pg.Client(url);
  return client.connect().then(
    () => client.end().then(() => true),
    () => false,
  );
}

beforeAll(() => admin.connect());
afterAll(async () => {
  await admin.query(`DROP DATABASE IF EXISTS ${role}`);
  await admin.query(`DROP ROLE IF EXISTS ${role}`);
  await admin.end();
});

it('a store changes no database of another store on the same server', async () => {
  const first = await prepare('one', 'a');
  await expect(prepare('two', 'b')).rejects.toMatchObject({
    message: 'The PostgreSQL of DATABASE_URL has the databases of another store.',
    details: [expect.stringContaining(role)],
    remedies: expect.arrayContaining([expect.stringContaining(`COMMENT ON ROLE ${role} IS NULL`)]),
  });
  expect(await canLogIn(first)).toBe(true);
  // The same store, after the loss of its passwords.
  const second = await prepare('one', 'c');
  expect([await canLogIn(first), await canLogIn(second)]).toEqual([false, true]);
  await admin.query(`COMMENT ON ROLE ${role} IS NULL`);
  expect(await canLogIn(await prepare('two', 'd'))).toBe(true);
});

it('the database of a removed service is deleted, but not that of another store', async () => {
  await admin.query(`COMMENT ON ROLE ${role} IS NULL`);
  const url = await prepare('one', 'a');
  const open = new pg.Client(url);
  open.on('error', () => undefined);
  await open.connect();
  await expect(deleteServiceDatabase(server, name, 'two')).rejects.toMatchObject({
    message: 'The PostgreSQL of DATABASE_URL has the databases of another store.',
  });
  expect(await canLogIn(url)).toBe(true);
  expect(await deleteServiceDatabase(server, name, 'one')).toBe(`deleted the database ${role}`);
  expect(await canLogIn(url)).toBe(false);
  const { rowCount } = await admin.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [role]);
  expect(rowCount).toBe(0);
  expect(await deleteServiceDatabase(server, name, 'one')).toBe(`there was no database ${role}`);
});
