interface Database {
  query(sql: string, parameters: unknown[]): Promise<unknown>;
}

/**
 * Asks for a read model to be built again, from the beginning; whoever leads and knows its shape begins at the next
 * look. One that is being built in that shape already goes on. What it could not do before is forgotten.
 * @param shape the one in use where none is given
 */
export async function requestRebuild(database: Database, name: string, shape?: number): Promise<void> {
  await database.query(
    `UPDATE projection SET next_generation = generation + 1, next_position = 0,
       next_shape = coalesce($2::int, shape), fault = NULL
     WHERE name = $1 AND (next_shape IS DISTINCT FROM coalesce($2::int, shape) OR fault IS NOT NULL)`,
    [name, shape ?? null],
  );
}
