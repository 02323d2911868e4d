import { RemoteFault } from '@jogakbo/messaging';

export interface Permit {
  /** Reserves more response bytes. @throws RemoteFault `overloaded` */
  reserve(bytes: number): void;
  /** Releases all reserved bytes. */
  releaseBytes(): void;
  /** Releases the permit and its bytes. */
  release(): void;
}

/** Bulkheads: limit concurrent requests and buffered bytes per external service, until its responses are sent. */
export class UpstreamBulkheads {
  readonly #usage = new Map<string, { requests: number; bytes: number }>();

  /** @param getLimits limits per service, read at each request */
  constructor(private readonly getLimits: () => { requests: number; bytes: number }) {}

  /** @throws RemoteFault `overloaded` */
  acquire(service: string): Permit {
    const limits = this.getLimits();
    const usage = this.#usage.get(service) ?? { requests: 0, bytes: 0 };
    if (usage.requests >= limits.requests) throw createOverloaded(service);
    this.#usage.set(service, usage);
    usage.requests += 1;
    let own = 0;
    let isReleased = false;
    const releaseBytes = (): void => {
      usage.bytes -= own;
      own = 0;
    };
    return {
      reserve(bytes) {
        if (isReleased || usage.bytes + bytes > limits.bytes) throw createOverloaded(service);
        usage.bytes += bytes;
        own += bytes;
      },
      releaseBytes,
      release: () => {
        if (isReleased) return;
        isReleased = true;
        releaseBytes();
        usage.requests -= 1;
        if (usage.requests === 0) this.#usage.delete(service);
      },
    };
  }
}

const createOverloaded = (service: string) => new RemoteFault('overloaded', `${service} is at its limit`);
