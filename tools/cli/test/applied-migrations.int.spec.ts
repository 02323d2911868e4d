import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import pg from 'pg';
import { areMigrationsApplied } from '../src/supervisor/applied-migrations.ts';

const name = `migrated_${process.pid}`;
const url = new URL(process.env.TEST_DATABASE_URL!);
const admin = new pg.Client(url.href);
const folder = mkdtempSync(join(tmpdir(), 'jogakbo-migrated-'));

/** Writes what the build of a service with these migrations describes. */
function describeBuild(...migrations: string[]): void {
  mkdirSync(join(folder, 'dist'), { recursive: true });
  const description = { migrations: migrations.map((one) => ({ name: one })) };
  writeFileSync(join(folder, 'dist/contract.json'), JSON.stringify(description));
}

beforeAll(async () => {
  await admin.connect();
  await admin.query(`CREATE DATABASE ${name}`);
  url.pathname = name;
});
afterAll(async () => {
  await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
  await admin.end();
  rmSync(folder, { recursive: true });
});

it('migrations are applied if the database has recorded all of them, and nothing else', async () => {
  const areApplied = () => areMigrationsApplied(folder, url.href);
  expect(await areApplied()).toBe(false); // no build
  describeBuild('First1');
  expect(await areApplied()).toBe(false); // no table
  const client = new pg.Client(url.href);
  await client.connect();
  await client.query(
    `CREATE TABLE migrations (name text); INSERT INTO migrations VALUES ('First1'), ('Old0')`,
  );
  expect(await areApplied()).toBe(true);
  describeBuild('First1', 'Second2');
  expect(await areApplied()).toBe(false);
  await client.query(`INSERT INTO migrations VALUES ('Second2')`);
  expect(await areApplied()).toBe(true);
  await client.end();
  expect(await areMigrationsApplied(folder, 'postgres://127.0.0.1:1/none')).toBe(false);
});
