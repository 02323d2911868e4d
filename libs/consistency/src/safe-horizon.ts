import type { ClientBase } from 'pg';

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

  /** Looks again. Gives the position, and whether one is on the way for which transactions have yet to end. */
  async look(client: ClientBase): Promise<{ position: bigint; waiting: boolean }> {
    if (!this.#next) {
      const { rows } = await client.query<{ last: string }>(
        'SELECT CASE WHEN is_called THEN last_value ELSE 0 END::text AS last FROM event_position_seq',
      );
      const position = BigInt(rows[0]!.last);
      if (position === this.#safe) return { position, waiting: false };
      // A transaction id taken after the position was read: whoever has one of these positions has a lower id.
      const { rows: own } = await client.query<{ id: string }>('SELECT pg_current_xact_id()::text AS id');
      this.#next = { position, id: BigInt(own[0]!.id) };
    }
    const { rows } = await client.query<{ running: string }>(
      'SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS running',
    );
    // Every transaction below the oldest that runs has ended.
    if (BigInt(rows[0]!.running) > this.#next.id) {
      this.#safe = this.#next.position;
      this.#next = undefined;
    }
    return { position: this.#safe, waiting: this.#next !== undefined };
  }
}
