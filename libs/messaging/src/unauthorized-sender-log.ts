import type { Logger } from '@nestjs/common';

/** Minimum time between two lines about one sender, in milliseconds. */
const logIntervalMs = 1_000;

interface Refused {
  queue: string;
  reason: string;
}

/**
 * Logs messages that were refused because of their sender: at most one line per sender and second, with the number of
 * messages since the previous line. The broker has authenticated each sender, so their number is bounded.
 */
export class UnauthorizedSenderLog {
  readonly #waiting = new Map<string, { count: number; last: Refused }>();

  constructor(private readonly logger: Pick<Logger, 'warn'>) {}

  add(sender: string | undefined, refused: Refused): void {
    const key = sender ?? '';
    const waiting = this.#waiting.get(key);
    if (waiting) this.#waiting.set(key, { count: waiting.count + 1, last: refused });
    else this.#write(key, 1, refused);
  }

  #write(key: string, count: number, { queue, reason }: Refused): void {
    const text = `refused ${count === 1 ? 'a message' : `${count} messages`}: ${reason}`;
    this.logger.warn({ queue, sender: key, count }, text);
    this.#waiting.set(key, { count: 0, last: { queue, reason } });
    setTimeout(() => {
      const { count: more, last } = this.#waiting.get(key)!;
      if (more === 0) this.#waiting.delete(key);
      else this.#write(key, more, last);
    }, logIntervalMs).unref();
  }
}
