import { setTimeout as pause } from 'node:timers/promises';
import { type ClientLog, type LoggedRequest } from './client-log.ts';

type About = Pick<LoggedRequest, 'what' | 'key' | 'orderId' | 'productId' | 'quantity' | 'token'>;

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

const patience = 10_000;
/** Of signing up and signing in. */
const mostAttempts = 12;

/**
 * Somebody who does as a careful client should: without an answer, or with one that says "not now", the same request
 * goes out again under the same key, until there is one.
 */
export class Client {
  #token = '';
  #id = '';
  readonly #url: string;
  readonly #log: ClientLog;
  readonly #login: { email: string; password: string };
  readonly #givenUp: AbortSignal;

  /** @param givenUp when it is aborted, whatever is still unanswered stays so */
  constructor(url: string, log: ClientLog, login: { email: string; password: string }, givenUp: AbortSignal) {
    this.#url = url;
    this.#log = log;
    this.#login = login;
    this.#givenUp = givenUp;
  }

  async signUp(name: string): Promise<void> {
    const body = { ...this.#login, name };
    const { status } = await this.#callUntilNow({ method: 'POST', path: '/v1/members', body });
    if (status !== 201) throw new Error(`signing up ended with ${status}`);
    await this.signIn();
  }

  async signIn(): Promise<void> {
    // Without the token: one that has expired is refused wherever it is shown.
    const request = { method: 'POST', path: '/v1/sessions', body: this.#login };
    const { status, body } = await this.#callUntilNow(request, '');
    if (status !== 201) throw new Error(`signing in ended with ${status}`);
    this.#token = body!.accessToken as string;
    this.#id = (await this.#call({ method: 'GET', path: '/v1/members/me' })).body!.memberId as string;
  }

  get memberId(): string {
    return this.#id;
  }

  /** Until it is answered. @returns undefined where it was given up */
  async insist(about: About, request: Request): Promise<Answer | undefined> {
    for (let attempt = 0; !this.#givenUp.aborted; attempt += 1) {
      const answer = await this.once(about, request);
      if (answer?.status === 401) await this.signIn().catch(() => undefined);
      else if (answer && !isNotNow(answer)) return answer;
      await pause(Math.min(150 * 2 ** attempt, 1_500), undefined, { signal: this.#givenUp }).catch(
        () => undefined,
      );
    }
    return undefined;
  }

  /** One attempt, written down. @returns undefined where nothing came back */
  async once(about: About, request: Request): Promise<Answer | undefined> {
    const at = Date.now();
    const note = (seen: Partial<LoggedRequest>) =>
      this.#log.append({ at, took: Date.now() - at, who: this.#id, ...about, ...seen });
    try {
      const answer = await this.#call(request);
      const { status, body, text } = answer;
      note({
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
      note({ error: cause?.code ?? message });
      return undefined;
    }
  }

  /** Repeats what is refused for now, such as a password hash on a slow machine, some times. */
  async #callUntilNow(request: Request, token?: string): Promise<Answer> {
    for (let attempt = 0; ; attempt += 1) {
      const answer = await this.#call(request, token);
      if (attempt === mostAttempts || !isNotNow(answer)) return answer;
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
      signal: AbortSignal.timeout(patience),
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

/** An answer that says nothing about what becomes of the request. */
export const isNotNow = ({
  status,
  code,
  body,
}: {
  status: number;
  code?: string;
  body?: Answer['body'];
}): boolean => status >= 500 || status === 429 || (code ?? body?.code) === 'idempotency-key-in-flight';
