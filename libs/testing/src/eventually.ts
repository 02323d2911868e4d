import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Repeats `look` until it returns a value other than undefined, null and false, and does not throw.
 * @param timeoutMs after this time, the last failure is thrown
 */
export async function eventually<T>(
  look: () => Promise<T> | T,
  timeoutMs = 10_000,
): Promise<Exclude<T, undefined | null | false>> {
  const until = Date.now() + timeoutMs;
  for (;;) {
    let failure: unknown = new Error(`the condition was not met within ${timeoutMs} ms`);
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
