import { appendFileSync } from 'node:fs';

/** A request as its client saw it, with or without a response. */
export interface LoggedRequest {
  /** Time of sending (milliseconds since the epoch). */
  at: number;
  took: number;
  who: string;
  what: 'place' | 'cancel' | 'read-order' | 'read-orders' | 'read-stock' | 'receive';
  /** The Idempotency-Key. */
  key?: string | undefined;
  orderId?: string | undefined;
  productId?: string | undefined;
  quantity?: number | undefined;
  /** The payment token. */
  token?: string | undefined;
  /** Undefined without a response. */
  status?: number | undefined;
  /** Code of the problem. */
  code?: string | undefined;
  /** Status of the order in the response. */
  state?: string | undefined;
  available?: number | undefined;
  /** Why there was no response. */
  error?: string | undefined;
  /** The body of a 5xx response. */
  text?: string | undefined;
}

/** Log of all clients, in a file outside of the store, one JSON line per request. */
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
