import type { ClientBase } from 'pg';

interface Seen<T> {
  last: string;
  id: string | null;
  running: string;
  beside: T;
}

/**
 * Up to which position of the log everything is there to be read.
 *
 * Positions are given out before they are committed, so whoever reads "all after the last one I saw" steps over what is
 * committed late. A position is safe once every transaction that ran when it had already been given out has ended. This
 * holds for writers that have a transaction id before they append; a unit of work has, for it begins with its inbox.
 */
export class SafeHorizon {
  #safe = 0n;
  #next: { position: bigint; id: bigint } | undefined;

  /**
   * Looks again, in one statement: the first look after something happened notes a position, a later one finds it safe.
   * @param beside an SQL expression to be read along
   * @returns the position, and whether one is on the way for which transactions have yet to end
   */
  async look<T>(
    client: ClientBase,
    beside: string,
  ): Promise<{ position: bigint; waiting: boolean; beside: T }> {
    const { rows } = await client.query<Seen<T>>({
      name: 'safe-horizon',
      // The id is taken after the position was read: whoever has one of these positions has a lower id.
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
      // Every transaction below the oldest that runs has ended.
      this.#safe = this.#next.position;
      this.#next = undefined;
    }
    return { position: this.#safe, waiting: this.#next !== undefined, beside: read };
  }
}
