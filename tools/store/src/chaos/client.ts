import { setTimeout as pause } from 'node:timers/promises';
import { type ClientLog } from '@jogakbo/chaos/src/client-log.ts';
import { type PurchaseRequest } from './purchase-log.ts';

type About = Pick<PurchaseRequest, 'what' | 'key' | 'orderId' | 'productId' | 'quantity' | 'token'>;

interface Request {
  method: string;
  path: string;
  body?: unknown;
  headers?: Record<string, string>;
}

export interface Answer {
  status: number;
  body: Record<string, unknown> | undefined;
}

const requestTimeoutMs = 10_000;
/** For sign-up and sign-in. */
const maxAttempts = 12;

/** An HTTP client that repeats a request under the same Idempotency-Key until it gets a final response. */
export class Client {
  #token = '';
  #id = '';
  readonly #url: string;
  readonly #log: ClientLog<PurchaseRequest>;
  readonly #login: { email: string; password: string };
  readonly #abortSignal: AbortSignal;

  /** @param abortSignal ends all repetitions */
  constructor(
    url: string,
    log: ClientLog<PurchaseRequest>,
    login: { email: string; password: string },
    abortSignal: AbortSignal,
  ) {
    this.#url = url;
    this.#log = log;
    this.#login = login;
    this.#abortSignal = abortSignal;
  }

  async signUp(name: string): Promise<void> {
    const body = { ...this.#login, name };
    const { status } = await this.#callWithRetries({ method: 'POST', path: '/v1/members', body });
    if (status !== 201) throw new Error(`sign-up failed with status ${status}`);
    await this.signIn();
  }

  async signIn(): Promise<void> {
    // Sent without the token, because an expired token is rejected on every route.
    const request = { method: 'POST', path: '/v1/sessions', body: this.#login };
    const { status, body } = await this.#callWithRetries(request, '');
    if (status !== 201) throw new Error(`sign-in failed with status ${status}`);
    this.#token = body!.accessToken as string;
    this.#id = (await this.#call({ method: 'GET', path: '/v1/members/me' })).body!.memberId as string;
  }

  get memberId(): string {
    return this.#id;
  }

  /** @returns undefined if aborted */
  async requestUntilAnswered(about: About, request: Request): Promise<Answer | undefined> {
    for (let attempt = 0; !this.#abortSignal.aborted; attempt += 1) {
      const answer = await this.requestOnce(about, request);
      if (answer?.status === 401) await this.signIn().catch(() => undefined);
      else if (answer && !isRetryable(answer)) return answer;
      await pause(Math.min(150 * 2 ** attempt, 1_500), undefined, { signal: this.#abortSignal }).catch(
        () => undefined,
      );
    }
    return undefined;
  }

  /** Sends the request once and logs it. @returns undefined without a response */
  async requestOnce(about: About, request: Request): Promise<Answer | undefined> {
    const at = Date.now();
    const log = (outcome: Partial<PurchaseRequest>) =>
      this.#log.append({ at, took: Date.now() - at, who: this.#id, ...about, ...outcome });
    try {
      const answer = await this.#call(request);
      const { status, body, text } = answer;
      log({
        status,
        code: body?.code as string | undefined,
        ...(typeof body?.orderId === 'string' && { orderId: body.orderId }),
        ...(typeof body?.status === 'string' && { state: body.status }),
        ...(typeof body?.available === 'number' && { available: body.available }),
        ...(status >= 500 && { text: text.slice(0, 2_000) }),
      });
      return answer;
    } catch (error) {
      const { message, cause } = error as Error & { cause?: { code?: string } };
      log({ error: cause?.code ?? message });
      return undefined;
    }
  }

  /** Repeats a temporarily rejected request, such as a sign-in on a busy machine. */
  async #callWithRetries(request: Request, token?: string): Promise<Answer> {
    for (let attempt = 0; ; attempt += 1) {
      const answer = await this.#call(request, token);
      if (attempt === maxAttempts || !isRetryable(answer)) return answer;
      await pause(Math.min(150 * 2 ** attempt, 1_500));
    }
  }

  async #call(
    { method, path, body, headers }: Request,
    token = this.#token,
  ): Promise<Answer & { text: string }> {
    const response = await fetch(this.#url + path, {
      method,
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(token && { authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(requestTimeoutMs),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    return {
      status: response.status,
      body: isJson && text ? (JSON.parse(text) as Record<string, unknown>) : undefined,
      text,
    };
  }
}

/** Whether the outcome of the request is still unknown, so that the client has to repeat it. */
export const isRetryable = ({
  status,
  code,
  body,
}: {
  status: number;
  code?: string;
  body?: Answer['body'];
}): boolean => status >= 500 || status === 429 || (code ?? body?.code) === 'idempotency-key-in-flight';
