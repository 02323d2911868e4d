import type { ClientBase } from 'pg';

interface Polled<T> {
  last: string;
  id: string | null;
  oldest_running: string;
  extra: T;
}

/**
 * Finds the position up to which the log is complete.
 *
 * Positions are assigned before the commit, so reading "all after the last position" would skip late commits. A position
 * is safe after the end of every transaction that was running after its assignment. This requires that writers get a
 * transaction id before they append. A unit of work does, because it begins with its inbox.
 *
 * Example: writer A (id 7) takes position 1, writer B (id 8) takes position 2 and commits first.
 * 1. A poll notes position 2 with a new id, 9. Position 1 may still be missing in the log.
 * 2. Polls while A runs: the oldest running id is 7, so position 2 is not safe.
 * 3. A poll after the commit of A: no id below 9 runs. Positions 1 and 2 are in the log, or were rolled back.
 * The poll that notes a position cannot find it safe: its own transaction has the noted id, and still runs.
 *
 * Use one object per connection: after a failover or a restore the database may have fewer events than before.
 */
export class SafeHorizon {
  #safe = 0n;
  /** A position that waits for the end of all transactions below `id`. */
  #noted: { position: bigint; id: bigint } | undefined;

  /**
   * Checks once: the first poll after new events notes a position, a later one finds it safe.
   * @param extraSql an SQL expression, read in the same statement to save a round trip
   * @returns the safe position, whether a newer one waits for the end of transactions, and the value of `extraSql`
   */
  async poll<T>(
    client: ClientBase,
    extraSql: string,
  ): Promise<{ position: bigint; isWaiting: boolean; extra: T }> {
    const { rows } = await client.query<Polled<T>>({
      name: 'safe-horizon',
      // The id is taken after the position is read: all writers of these positions have lower ids.
      text: `WITH log AS MATERIALIZED
               (SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS last FROM event_position_seq)
             SELECT last::text, CASE WHEN last > $1 THEN pg_current_xact_id() END::text AS id,
               pg_snapshot_xmin(pg_current_snapshot())::text AS oldest_running, (${extraSql}) AS extra FROM log`,
      values: [this.#noted ? null : this.#safe.toString()],
    });
    const { last, id, oldest_running: oldestRunningId, extra } = rows[0]!;
    if (id !== null) {
      this.#noted = { position: BigInt(last), id: BigInt(id) };
    } else if (this.#noted && BigInt(oldestRunningId) > this.#noted.id) {
      this.#safe = this.#noted.position;
      this.#noted = undefined;
    }
    return { position: this.#safe, isWaiting: this.#noted !== undefined, extra };
  }
}
