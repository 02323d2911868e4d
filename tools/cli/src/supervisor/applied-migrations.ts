import { join } from 'node:path';
import pg from 'pg';
import { z } from 'zod';
import { readJson } from './state.ts';

const Description = z.object({ migrations: z.array(z.object({ name: z.string() })) });

/**
 * Whether all migrations of a built service were applied to its database. A process that finds that out takes seconds.
 * @param folder of the service, with its build
 * @returns false also if the description or the database cannot be read
 */
export async function areMigrationsApplied(folder: string, databaseUrl: string): Promise<boolean> {
  const described = Description.safeParse(readJson(join(folder, 'dist', 'contract.json')));
  if (!described.success) return false;
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 2_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ name: string }>('SELECT name FROM migrations');
    const applied = new Set(rows.map(({ name }) => name));
    return described.data.migrations.every(({ name }) => applied.has(name));
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}
