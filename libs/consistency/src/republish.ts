interface Database {
  query(sql: string, parameters: unknown[]): Promise<unknown>;
}

/** An assignment of SQL: the relay publishes a published message again. The outbox keeps it for 7 days after its first publication. */
export const republishSql =
  'published_at = NULL, first_published_at = coalesce(first_published_at, published_at)';

/** Publishes messages of the outbox again, with their original ids: receivers that have handled them ignore them. */
export async function republishMessages(database: Database, ids: readonly string[]): Promise<void> {
  await database.query(`UPDATE outbox SET ${republishSql} WHERE id = ANY($1::bigint[])`, [ids]);
}
