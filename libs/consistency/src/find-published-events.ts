/** A database connection of an operator's tool, with the service's own login: a client of `pg`. */
interface Database {
  query(sql: string, parameters: unknown[]): Promise<{ rows: unknown[] }>;
}

export interface PublishedEvent {
  id: string;
  /** The contract's name. */
  name: string;
}

/**
 * Finds the events that were written to the outbox or published, for the first or the last time, in a time range. Includes
 * those that are being republished now. Commands are never replayed.
 * @param from inclusive
 * @param to exclusive
 * @returns in the order in which they were written
 */
export async function findPublishedEvents(
  database: Database,
  from: Date,
  to: Date,
): Promise<PublishedEvent[]> {
  const { rows } = await database.query(
    `SELECT id, name FROM outbox WHERE kind = 'event' AND coalesce(first_published_at, published_at) IS NOT NULL
       AND ((created_at >= $1 AND created_at < $2) OR (published_at >= $1 AND published_at < $2)
         OR (first_published_at >= $1 AND first_published_at < $2))
     ORDER BY id`,
    [from, to],
  );
  return rows as PublishedEvent[];
}
