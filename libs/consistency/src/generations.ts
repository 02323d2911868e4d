import type { DataSource, EntityManager } from 'typeorm';
import type { Projection } from './projection.ts';

/** A row of the table `projection`. */
export interface ProjectionState {
  name: string;
  shape: number;
  generation: number;
  position: string;
  next_generation: number | null;
  next_position: string;
  next_shape: number | null;
}

const columns = `name, shape, generation, position::text, next_generation, next_position::text, next_shape`;
/** SQL that reads all of them as one JSON value. */
export const selectStates = `SELECT coalesce(json_agg(place), '[]') FROM (SELECT ${columns} FROM projection) AS place`;

export const getSchema = (name: string, generation: number) => `"${name}_${generation}"`;

export async function readState(
  manager: EntityManager,
  name: string,
  lock = '',
): Promise<ProjectionState | undefined> {
  const [state] = (await manager.query(`SELECT ${columns} FROM projection WHERE name = $1 ${lock}`, [
    name,
  ])) as ProjectionState[];
  return state;
}

/** Creates an empty generation, after dropping the rest of an earlier attempt. */
export async function createGeneration(
  tx: EntityManager,
  one: Projection,
  generation: number,
): Promise<void> {
  const schema = getSchema(one.name, generation);
  await tx.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await tx.query(`CREATE SCHEMA ${schema}`);
  await tx.query(`SET LOCAL search_path TO ${schema}, public`);
  await tx.query(one.tables);
  await tx.query('SET LOCAL search_path TO DEFAULT');
}

/** Points the public views to this generation. */
export async function showGeneration(tx: EntityManager, name: string, generation: number): Promise<void> {
  const tables = (await tx.query('SELECT tablename AS table FROM pg_tables WHERE schemaname = $1', [
    `${name}_${generation}`,
  ])) as { table: string }[];
  for (const { table } of tables) {
    await tx.query(`DROP VIEW IF EXISTS public."${table}"`);
    await tx.query(
      `CREATE VIEW public."${table}" AS SELECT * FROM ${getSchema(name, generation)}."${table}"`,
    );
  }
}

/** Drops the generations before the current one. */
export async function dropRetiredGenerations(dataSource: DataSource, name: string): Promise<void> {
  const retired = (await dataSource.query(
    `SELECT nspname AS schema FROM pg_namespace, projection
     WHERE name = $1 AND substring(nspname FROM '^' || name || '_([0-9]{1,9})$')::int < generation`,
    [name],
  )) as { schema: string }[];
  for (const { schema } of retired) await dataSource.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`);
}
