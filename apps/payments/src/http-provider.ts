import { ExponentialBackoff, handleAll, retry, type RetryPolicy } from 'cockatiel';
import { request } from 'undici';
import { z } from 'zod';
import { PaymentProvider, ProviderFault, type Charge, type Reference } from './provider.ts';

/** An answer that is not UTF-8 is as good as none. */
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** What the provider says of a charge, in every answer that is about one. */
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
  /** Every other answer is a fault. */
  expect: readonly number[];
  body?: unknown;
  idempotencyKey?: string;
}

interface Reply {
  status: number;
  body: unknown;
}

/** A provider behind HTTP. A call that fails or takes too long is made twice more, then it is a fault. */
export class HttpProvider extends PaymentProvider {
  readonly #policy: RetryPolicy;

  /**
   * @param token by which the provider knows the store; may only be missing in local mode
   * @param timeoutMs for each attempt
   */
  constructor(
    private readonly url: string,
    private readonly token: string | undefined,
    private readonly timeoutMs: number,
    override readonly sandbox = false,
  ) {
    super();
    // Jittered: those who failed together do not come back together.
    this.#policy = retry(handleAll, {
      maxAttempts: 2,
      backoff: new ExponentialBackoff({ initialDelay: 50, maxDelay: 500 }),
    });
  }

  async knows(token: string): Promise<boolean> {
    // In the body: what is in an address ends up in logs.
    const call = { method: 'POST', path: '/v1/token-checks', expect: [204, 404], body: { token } } as const;
    return (await this.#call(call)).status === 204;
  }

  authorize({ paymentId, amount, token }: Parameters<PaymentProvider['authorize']>[0]): Promise<Charge> {
    return this.#requestCharge({
      ...{ method: 'POST', path: '/v1/charges', idempotencyKey: paymentId },
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
      ...{ method: 'POST', path: `/v1/charges/${encodeURIComponent(reference)}/${step}` },
      idempotencyKey: `${paymentId}-${step}`,
      expect: [200, 409],
    });
  }

  async #requestCharge(call: Call): Promise<Charge> {
    const { body } = await this.#call(call);
    const result = ChargeBody.safeParse(body);
    if (result.success) return result.data;
    throw new ProviderFault(
      `${call.method} ${call.path}: the answer of the provider is not what it promises`,
    );
  }

  async #call(call: Call): Promise<Reply> {
    const what = `${call.method} ${call.path}`;
    const reply = await this.#policy
      .execute(() => this.#attempt(call))
      .catch((cause: Error) => {
        throw new ProviderFault(`${what}: ${cause.message}`, { cause });
      });
    if (!call.expect.includes(reply.status)) throw new ProviderFault(`${what} was answered ${reply.status}`);
    return reply;
  }

  /** @throws Error where another attempt may help */
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
    if (status >= 500 || status === 429) throw new Error(`answered ${status}`);
    return { status, body: parsed(utf8.decode(bytes)) };
  }
}

/** Undefined where it is not JSON. Many answers are empty: for these no error is made to be thrown away. */
export function parsed(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
