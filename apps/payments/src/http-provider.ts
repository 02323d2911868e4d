import { ExponentialBackoff, handleAll, retry, type RetryPolicy } from 'cockatiel';
import { request } from 'undici';
import { z } from 'zod';
import { PaymentProvider, ProviderFault, type Charge, type Reference } from './provider.ts';

/** Rejects a response that is not valid UTF-8. */
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The charge as the provider returns it. */
const ChargeBody = z.discriminatedUnion('status', [
  z.object({
    status: z.enum(['authorized', 'captured', 'voided', 'refunded']),
    reference: z.string().min(1),
  }),
  z.object({ status: z.literal('declined'), reason: z.string().min(1) }),
]);

interface Call {
  method: 'POST' | 'PUT';
  path: string;
  /** Any other status is a fault. */
  expect: readonly number[];
  body?: unknown;
  idempotencyKey?: string;
}

interface Reply {
  status: number;
  body: unknown;
}

/** The HTTP adapter. Retries a failed or timed-out call twice, then throws `ProviderFault`. */
export class HttpProvider extends PaymentProvider {
  readonly #policy: RetryPolicy;

  /**
   * @param token authenticates the store; optional in local mode only
   * @param timeoutMs for each attempt
   */
  constructor(
    private readonly url: string,
    private readonly token: string | undefined,
    private readonly timeoutMs: number,
    override readonly sandbox = false,
  ) {
    super();
    // Jittered, so that calls that failed together are not retried together.
    this.#policy = retry(handleAll, {
      maxAttempts: 2,
      backoff: new ExponentialBackoff({ initialDelay: 50, maxDelay: 500 }),
    });
  }

  async isTokenKnown(token: string): Promise<boolean> {
    // In the body, because URLs end up in logs.
    const call = { method: 'POST', path: '/v1/token-checks', expect: [204, 404], body: { token } } as const;
    return (await this.#call(call)).status === 204;
  }

  authorize({ paymentId, amount, token }: Parameters<PaymentProvider['authorize']>[0]): Promise<Charge> {
    return this.#requestCharge({
      method: 'POST',
      path: '/v1/charges',
      idempotencyKey: paymentId,
      body: { ...amount, token },
      expect: [200, 201, 402],
    });
  }

  capture(charge: Reference): Promise<Charge> {
    return this.#move('capture', charge);
  }

  void(paymentId: string): Promise<Charge> {
    const path = `/v1/cancellations/${encodeURIComponent(paymentId)}`;
    return this.#requestCharge({ method: 'PUT', path, expect: [200, 409] });
  }

  refund(charge: Reference): Promise<Charge> {
    return this.#move('refund', charge);
  }

  #move(step: 'capture' | 'refund', { paymentId, reference }: Reference): Promise<Charge> {
    return this.#requestCharge({
      method: 'POST',
      path: `/v1/charges/${encodeURIComponent(reference)}/${step}`,
      idempotencyKey: `${paymentId}-${step}`,
      expect: [200, 409],
    });
  }

  async #requestCharge(call: Call): Promise<Charge> {
    const { body } = await this.#call(call);
    const result = ChargeBody.safeParse(body);
    if (result.success) return result.data;
    throw new ProviderFault(
      `${call.method} ${call.path}: the response of the provider is not a valid charge`,
    );
  }

  async #call(call: Call): Promise<Reply> {
    const operation = `${call.method} ${call.path}`;
    const reply = await this.#policy
      .execute(() => this.#attempt(call))
      .catch((cause: Error) => {
        throw new ProviderFault(`${operation}: ${cause.message}`, { cause });
      });
    if (!call.expect.includes(reply.status))
      throw new ProviderFault(`${operation}: unexpected status ${reply.status}`);
    return reply;
  }

  /** @throws Error if a retry may help */
  async #attempt({ method, path, body, idempotencyKey }: Call): Promise<Reply> {
    const response = await request(new URL(path, this.url), {
      method,
      signal: AbortSignal.timeout(this.timeoutMs),
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(this.token && { authorization: `Bearer ${this.token}` }),
        ...(idempotencyKey && { 'idempotency-key': idempotencyKey }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const { statusCode: status } = response;
    const bytes = await response.body.arrayBuffer();
    if (status >= 500 || status === 429) throw new Error(`status ${status}`);
    return { status, body: parseJson(utf8.decode(bytes)) };
  }
}

/** Undefined if it is not JSON. The check for '' avoids the cost of an exception: many responses are empty. */
export function parseJson(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
