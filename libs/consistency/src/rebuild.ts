interface Database {
  query(sql: string, parameters: unknown[]): Promise<unknown>;
}

/**
 * Requests a rebuild of a read model from the beginning. A leader that knows its shape starts at its next poll. A rebuild
 * that already runs for that shape continues. Clears the stored fault.
 * @param shape by default the current one
 */
export async function requestRebuild(database: Database, name: string, shape?: number): Promise<void> {
  await database.query(
    `UPDATE projection SET next_generation = generation + 1, next_position = 0,
       next_shape = coalesce($2::int, shape), fault = NULL
     WHERE name = $1 AND (next_shape IS DISTINCT FROM coalesce($2::int, shape) OR fault IS NOT NULL)`,
    [name, shape ?? null],
  );
}

interface ReadableDatabase {
  query(sql: string): Promise<{ rows: unknown[] }>;
}

export interface ProjectionState {
  name: string;
  generation: number;
  building: boolean;
  /** Percentage of the log that the new generation has processed. */
  progress: number;
  /** Number of unprocessed events in the log. */
  behind: number;
  fault: string | null;
}

/** Lists the read models of a service, by name. Empty if its database has none. */
export async function readProjections(database: ReadableDatabase): Promise<ProjectionState[]> {
  const { rows: known } = await database.query(`SELECT to_regclass('projection') IS NOT NULL AS known`);
  if (!(known[0] as { known: boolean }).known) return [];
  const { rows } = await database.query(
    `SELECT name, generation, next_generation IS NOT NULL AS building, fault,
       CASE WHEN last = 0 THEN 100 ELSE floor(100.0 * next_position / last)::int END AS progress,
       (SELECT count(*)::int FROM event WHERE event.position > projection.position) AS behind
     FROM projection, (SELECT coalesce(max(position), 0) AS last FROM event) AS log ORDER BY name`,
  );
  return rows as ProjectionState[];
}
