interface Database {
  query(sql: string, parameters: unknown[]): Promise<unknown>;
}

/** An assignment of SQL: the relay publishes the message again. The outbox keeps it for 7 days after its first publication. */
export const repeatSql =
  'published_at = NULL, first_published_at = coalesce(first_published_at, published_at)';

/** Publishes messages of the outbox again, with their original ids: receivers that have handled them ignore them. */
export async function repeatMessages(database: Database, ids: readonly string[]): Promise<void> {
  await database.query(`UPDATE outbox SET ${repeatSql} WHERE id = ANY($1::bigint[])`, [ids]);
}
