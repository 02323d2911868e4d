import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Looks again and again until `look` gives something other than undefined or false, and does not throw.
 * @param patience milliseconds after which the last failure is thrown
 */
export async function eventually<T>(
  look: () => Promise<T> | T,
  patience = 10_000,
): Promise<Exclude<T, undefined | null | false>> {
  const until = Date.now() + patience;
  for (;;) {
    let failure: unknown = new Error('it did not come true in time');
    try {
      const seen = await look();
      if (seen !== undefined && seen !== false && seen !== null)
        return seen as Exclude<T, undefined | null | false>;
    } catch (error) {
      failure = error;
    }
    if (Date.now() > until) throw failure;
    await sleep(15);
  }
}
