import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';

const agent = new Agent({ keepAlive: true });

/** Waits as long as the store asks for if there are too many requests. @throws Error with every other error of the store */
async function call<T>(
  url: URL,
  method: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<T> {
  // Not fetch: client and store share the machine, so the cost of the client is part of the result.
  const sent = request(url, {
    method,
    agent,
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
  });
  sent.end(body === undefined ? undefined : JSON.stringify(body));
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const answer = await text(response);
  if (response.statusCode === 429) {
    await pause(1_000 * Number(response.headers['retry-after'] ?? 1));
    return call(url, method, body, headers);
  }
  if (response.statusCode! >= 300)
    throw new Error(`${method} ${url.pathname}: ${response.statusCode} ${answer}`);
  return JSON.parse(answer) as T;
}

interface Product {
  productId: string;
  price: { amount: number; currency: string };
  version: number;
}

/** Each function resolves to its duration in milliseconds. */
export interface Customer {
  /** Buys one product and waits for the outcome. Throws if the order has none after 5 s. */
  buy: () => Promise<number>;
  /** Reads one product. */
  read: () => Promise<number>;
}

/** Below the limit of the store for one member and minute. */
const purchasesPerMember = 200;

async function signUp(url: string): Promise<string> {
  const email = `bench-${randomUUID()}@jogakbo.example`;
  const password = randomUUID();
  await call(new URL('/v1/members', url), 'POST', { email, password, name: 'Bench' });
  const session = await call<{ accessToken: string }>(new URL('/v1/sessions', url), 'POST', {
    email,
    password,
  });
  return session.accessToken;
}

/**
 * @param url the public URL of a running store
 * @param purchases the expected number; many purchases are spread over several members
 */
export async function createCustomer(url: string, purchases: number): Promise<Customer> {
  const tokens: string[] = [];
  // One after the other: each sign-up and sign-in computes a password hash.
  for (let nth = 0; nth < Math.max(1, Math.ceil(purchases / purchasesPerMember)); nth++)
    tokens.push(await signUp(url));
  let bought = 0;
  const { items } = await call<{ items: Product[] }>(new URL('/v1/products?limit=100', url), 'GET');
  const shipTo = { name: 'Kim', line1: 'Jong-ro 1', city: 'Seoul', postalCode: '03000', country: 'KR' };
  return {
    async buy() {
      const accessToken = tokens[bought++ % tokens.length]!;
      const { productId, price, version } = items[Math.floor(Math.random() * items.length)]!;
      const startedAt = performance.now();
      const { status } = await call<{ status: string }>(
        new URL('/v1/orders', url),
        'POST',
        {
          lines: [{ productId, quantity: 1, priceVersion: version }],
          expectedTotal: price,
          shipTo,
          payment: { token: 'tok_ok' },
        },
        { authorization: `Bearer ${accessToken}`, 'idempotency-key': randomUUID(), prefer: 'wait=5' },
      );
      if (status !== 'confirmed' && status !== 'rejected') throw new Error(`an order is ${status} after 5 s`);
      return performance.now() - startedAt;
    },
    async read() {
      const startedAt = performance.now();
      await call(new URL(`/v1/products/${items[0]!.productId}`, url), 'GET');
      return performance.now() - startedAt;
    },
  };
}
