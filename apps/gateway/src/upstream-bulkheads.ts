import { RemoteFault } from '@jogakbo/messaging';

/** What a request to a service outside holds of this gateway. */
export interface Place {
  /** Holds so many bytes more. @throws RemoteFault `overloaded` */
  hold(bytes: number): void;
  /** Lets go of all bytes. */
  release(): void;
  /** Gives the place back, with all its bytes. */
  leave(): void;
}

/** Limits what each service outside may hold of this gateway at the same time, until its answers are sent. */
export class UpstreamBulkheads {
  readonly #held = new Map<string, { requests: number; bytes: number }>();

  /** @param most what each service may hold, read at each request */
  constructor(private readonly most: () => { requests: number; bytes: number }) {}

  /** @throws RemoteFault `overloaded` */
  enter(service: string): Place {
    const { requests, bytes: mostBytes } = this.most();
    const held = this.#held.get(service) ?? { requests: 0, bytes: 0 };
    if (held.requests >= requests) throw tooMany(service);
    this.#held.set(service, held);
    held.requests += 1;
    let own = 0;
    let isLeft = false;
    const release = (): void => {
      held.bytes -= own;
      own = 0;
    };
    return {
      hold(bytes) {
        if (isLeft || held.bytes + bytes > mostBytes) throw tooMany(service);
        held.bytes += bytes;
        own += bytes;
      },
      release,
      leave: () => {
        if (isLeft) return;
        isLeft = true;
        release();
        held.requests -= 1;
        if (held.requests === 0) this.#held.delete(service);
      },
    };
  }
}

const tooMany = (service: string) => new RemoteFault('overloaded', `${service} holds all that it may`);
