import { appendFileSync } from 'node:fs';

/** One request as its client saw it, answered or not. */
export interface LoggedRequest {
  /** When it was sent (milliseconds). */
  at: number;
  took: number;
  who: string;
  what: 'place' | 'cancel' | 'read-order' | 'read-orders' | 'read-stock' | 'receive';
  /** The Idempotency-Key. */
  key?: string | undefined;
  orderId?: string | undefined;
  productId?: string | undefined;
  quantity?: number | undefined;
  /** What was to be paid with. */
  token?: string | undefined;
  /** Undefined where there was no answer. */
  status?: number | undefined;
  /** Of a problem. */
  code?: string | undefined;
  /** Of an order, as it was told. */
  state?: string | undefined;
  available?: number | undefined;
  /** Why there was no answer. */
  error?: string | undefined;
  /** The whole answer, where it was a 5xx. */
  text?: string | undefined;
}

/** What all clients saw, in a file outside the system, one line per request. */
export class ClientLog {
  readonly requests: LoggedRequest[] = [];

  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  append(request: LoggedRequest): void {
    this.requests.push(request);
    appendFileSync(this.#path, `${JSON.stringify(request)}\n`);
  }
}
