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
  #next: { position: bigint; ahead: bigint } | undefined;

  /** Looks again. Gives the position, and whether one is on the way for which transactions have yet to end. */
  async look(client: ClientBase): Promise<{ position: bigint; waiting: boolean }> {
    if (!this.#next) {
      const { rows } = await client.query<{ last: string }>(
        'SELECT CASE WHEN is_called THEN last_value ELSE 0 END::text AS last FROM event_position_seq',
      );
      const position = BigInt(rows[0]!.last);
      if (position === this.#safe) return { position, waiting: false };
      // After the position was read: whoever takes one from now on takes a higher one.
      this.#next = { position, ahead: (await running(client)).max };
    }
    if ((await running(client)).min >= this.#next.ahead) {
      this.#safe = this.#next.position;
      this.#next = undefined;
    }
    return { position: this.#safe, waiting: this.#next !== undefined };
  }
}

/** All transactions below `min` have ended; none at or above `max` has begun. */
async function running(client: ClientBase): Promise<{ min: bigint; max: bigint }> {
  const { rows } = await client.query<{ min: string; max: string }>(
    `SELECT pg_snapshot_xmin(now)::text AS min, pg_snapshot_xmax(now)::text AS max FROM pg_current_snapshot() AS now`,
  );
  return { min: BigInt(rows[0]!.min), max: BigInt(rows[0]!.max) };
}
