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
