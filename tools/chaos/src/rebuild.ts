import { setTimeout as pause } from 'node:timers/promises';
import { type RebuiltFact } from './facts.ts';
import { type Rows, withDatabase } from './read-facts.ts';
import { stateful } from './services.ts';
import { type Store } from './store.ts';

const rebuildTimeoutMs = 20_000;

interface Projection {
  name: string;
  generation: number;
  building: boolean;
  fault: string | null;
}

/**
 * Rebuilds every read model from the event log of its service, and compares its rows. The store has to be idle:
 * concurrent changes count as differences.
 */
export async function rebuildAll(store: Store): Promise<RebuiltFact[]> {
  const rebuilt: RebuiltFact[] = [];
  for (const service of stateful) {
    await withDatabase(store, service, async (rows) => {
      for (const projection of await readProjections(rows))
        rebuilt.push({ service, ...(await rebuild(rows, projection)) });
    });
  }
  return rebuilt;
}

async function readProjections(rows: Rows): Promise<Projection[]> {
  const [table] = await rows<{ known: boolean }>(`SELECT to_regclass('projection') IS NOT NULL AS known`);
  if (!table!.known) return [];
  return rows('SELECT name, generation, next_generation IS NOT NULL AS building, fault FROM projection');
}

async function rebuild(rows: Rows, before: Projection): Promise<Omit<RebuiltFact, 'service'>> {
  const { name } = before;
  const oldRows = await readRows(rows, before);
  await rows(
    `UPDATE projection SET next_generation = generation + 1, next_position = 0, next_shape = shape WHERE name = '${name}' AND next_generation IS NULL`,
  );
  for (const end = Date.now() + rebuildTimeoutMs; ; await pause(100)) {
    const projection = (await readProjections(rows)).find((one) => one.name === name)!;
    if (projection.generation > before.generation) {
      const newRows = await readRows(rows, projection);
      const differ = [...oldRows]
        .filter((row) => !newRows.has(row))
        .concat([...newRows].filter((row) => !oldRows.has(row)));
      return { name, rows: oldRows.size, differ };
    }
    if (projection.fault || Date.now() > end) {
      const fault = projection.fault ?? `not rebuilt within ${rebuildTimeoutMs} ms`;
      return { name, rows: oldRows.size, differ: [], fault };
    }
  }
}

/** Every row of every table of a generation, as text. Every table has a key, so all rows differ. */
async function readRows(rows: Rows, { name, generation }: Projection): Promise<Set<string>> {
  const schema = `${name}_${generation}`;
  const tables = await rows<{ table: string }>(
    `SELECT tablename AS table FROM pg_tables WHERE schemaname = '${schema}'`,
  );
  const all = new Set<string>();
  for (const { table } of tables) {
    const found = await rows<{ row: string }>(
      `SELECT to_jsonb(one)::text AS row FROM "${schema}"."${table}" AS one`,
    );
    for (const { row } of found) all.add(`${table} ${row}`);
  }
  return all;
}
