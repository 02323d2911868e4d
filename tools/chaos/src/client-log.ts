import { appendFileSync } from 'node:fs';

/** A request as its client saw it, with or without a response. Workloads add fields. */
export interface LoggedRequest {
  /** Time of sending (milliseconds since the epoch). */
  at: number;
  took: number;
  /** Kind of the request. */
  what: string;
  /** Undefined without a response. */
  status?: number | undefined;
  /** Why there was no response. */
  error?: string | undefined;
}

/** Log of all clients, in a file outside of the store, one JSON line per request. */
export class ClientLog<R extends LoggedRequest = LoggedRequest> {
  readonly requests: R[] = [];

  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  append(request: R): void {
    this.requests.push(request);
    appendFileSync(this.#path, `${JSON.stringify(request)}\n`);
  }
}
