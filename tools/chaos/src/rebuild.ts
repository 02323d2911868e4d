import { setTimeout as pause } from 'node:timers/promises';
import { type RebuiltFact, type Rows, within } from './facts.ts';
import { stateful } from './services.ts';
import { type Store } from './store.ts';

const patience = 20_000;

interface Place {
  name: string;
  generation: number;
  building: boolean;
  fault: string | null;
}

/**
 * Has every read model of the store built again from the log of its service, and compares its rows. In a store at
 * rest: what happens meanwhile counts as a difference.
 */
export async function rebuildAll(store: Store): Promise<RebuiltFact[]> {
  const rebuilt: RebuiltFact[] = [];
  for (const service of stateful) {
    await within(store, service, async (rows) => {
      for (const place of await placesIn(rows)) rebuilt.push({ service, ...(await rebuild(rows, place)) });
    });
  }
  return rebuilt;
}

async function placesIn(rows: Rows): Promise<Place[]> {
  const [table] = await rows<{ known: boolean }>(`SELECT to_regclass('projection') IS NOT NULL AS known`);
  if (!table!.known) return [];
  return rows('SELECT name, generation, next_generation IS NOT NULL AS building, fault FROM projection');
}

async function rebuild(rows: Rows, before: Place): Promise<Omit<RebuiltFact, 'service'>> {
  const { name } = before;
  const old = await readRows(rows, before);
  await rows(
    `UPDATE projection SET next_generation = generation + 1, next_position = 0, next_shape = shape WHERE name = '${name}' AND next_generation IS NULL`,
  );
  for (const end = Date.now() + patience; ; await pause(100)) {
    const place = (await placesIn(rows)).find((one) => one.name === name)!;
    if (place.generation > before.generation) {
      const anew = await readRows(rows, place);
      const differ = [...old]
        .filter((row) => !anew.has(row))
        .concat([...anew].filter((row) => !old.has(row)));
      return { name, rows: old.size, differ };
    }
    if (place.fault || Date.now() > end)
      return { name, rows: old.size, differ: [], fault: place.fault ?? `not built after ${patience} ms` };
  }
}

/** Every row of every table of a generation, as text. No table is without a key, so no two rows are the same. */
async function readRows(rows: Rows, { name, generation }: Place): Promise<Set<string>> {
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
