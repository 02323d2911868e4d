import type { ClientBase } from 'pg';

interface Seen<T> {
  last: string;
  id: string | null;
  running: string;
  beside: T;
}

/**
 * Finds the position up to which the log is complete.
 *
 * Positions are assigned before the commit, so reading "all after the last position" would skip late commits. A position
 * is safe after the end of every transaction that was running after its assignment. This requires that writers get a
 * transaction id before they append. A unit of work does, because it begins with its inbox.
 */
export class SafeHorizon {
  #safe = 0n;
  #next: { position: bigint; id: bigint } | undefined;

  /**
   * Checks again, in one statement: the first check after new events notes a position, a later one finds it safe.
   * @param beside an SQL expression to read in the same statement
   * @returns the position, and whether a newer one waits for the end of transactions
   */
  async look<T>(
    client: ClientBase,
    beside: string,
  ): Promise<{ position: bigint; waiting: boolean; beside: T }> {
    const { rows } = await client.query<Seen<T>>({
      name: 'safe-horizon',
      // The id is taken after the position is read: all writers of these positions have lower ids.
      text: `WITH log AS MATERIALIZED
               (SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS last FROM event_position_seq)
             SELECT last::text, CASE WHEN last > $1 THEN pg_current_xact_id() END::text AS id,
               pg_snapshot_xmin(pg_current_snapshot())::text AS running, (${beside}) AS beside FROM log`,
      values: [this.#next ? null : this.#safe.toString()],
    });
    const { last, id, running, beside: read } = rows[0]!;
    if (id !== null) {
      this.#next = { position: BigInt(last), id: BigInt(id) };
    } else if (this.#next && BigInt(running) > this.#next.id) {
      // Every transaction below the oldest running one has ended.
      this.#safe = this.#next.position;
      this.#next = undefined;
    }
    return { position: this.#safe, waiting: this.#next !== undefined, beside: read };
  }
}
