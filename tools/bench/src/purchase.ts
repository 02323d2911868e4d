// Buys from a running store and prints how long it took: npm run bench -- [--count 200] [--customers 1] [--warm-up 300] [--url http://localhost:3000]
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    url: { type: 'string', default: 'http://localhost:3000' },
    count: { type: 'string', default: '200' },
    customers: { type: 'string', default: '1' },
    'warm-up': { type: 'string', default: '300' },
    help: { type: 'boolean', short: 'h' },
  },
});
if (values.help) {
  console.log('npm run bench -- [--count 200] [--customers 1] [--warm-up 300] [--url http://localhost:3000]');
  process.exit(0);
}
const count = Number(values.count);
const customers = Number(values.customers);
const agent = new Agent({ keepAlive: true });

async function call<T>(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<T> {
  // Not fetch: client and store share the machine, so the cost of the client is part of the result.
  const sent = request(new URL(path, values.url), {
    method,
    agent,
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
  });
  sent.end(body === undefined ? undefined : JSON.stringify(body));
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const answer = await text(response);
  if (response.statusCode! >= 300) throw new Error(`${method} ${path}: ${response.statusCode} ${answer}`);
  return JSON.parse(answer) as T;
}

interface Product {
  productId: string;
  price: { amount: number; currency: string };
  version: number;
}

/** Below the limit of the store for one member and minute. */
const purchasesPerMember = 200;

async function signUp(): Promise<string> {
  const email = `bench-${randomUUID()}@jogakbo.example`;
  const password = randomUUID();
  await call('POST', '/v1/members', { email, password, name: 'Bench' });
  return (await call<{ accessToken: string }>('POST', '/v1/sessions', { email, password })).accessToken;
}

/** @param purchases the expected number; many purchases are spread over several members */
async function createCustomer(
  purchases: number,
): Promise<{ buy: () => Promise<number>; read: () => Promise<number> }> {
  const tokens = await Promise.all(
    Array.from({ length: Math.max(1, Math.ceil(purchases / purchasesPerMember)) }, signUp),
  );
  let bought = 0;
  const { items } = await call<{ items: Product[] }>('GET', '/v1/products?limit=100');
  const shipTo = { name: 'Kim', line1: 'Jong-ro 1', city: 'Seoul', postalCode: '03000', country: 'KR' };
  return {
    async buy() {
      const accessToken = tokens[bought++ % tokens.length]!;
      const { productId, price, version } = items[Math.floor(Math.random() * items.length)]!;
      const startedAt = performance.now();
      const { status } = await call<{ status: string }>(
        'POST',
        '/v1/orders',
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
      await call('GET', `/v1/products/${items[0]!.productId}`);
      return performance.now() - startedAt;
    },
  };
}

const percentile = (times: number[], p: number) =>
  times[Math.min(times.length - 1, Math.floor((times.length * p) / 100))]!;

async function measure(name: string, actors: (() => Promise<number>)[]): Promise<void> {
  const times: number[] = [];
  let open = count;
  const startedAt = performance.now();
  await Promise.all(
    actors.map(async (act) => {
      while (open-- > 0) times.push(await act());
    }),
  );
  const seconds = (performance.now() - startedAt) / 1_000;
  times.sort((a, b) => a - b);
  const figure = (p: number) => `p${p} ${percentile(times, p).toFixed(1)} ms`;
  console.log(
    `${name}: ${figure(50)}, ${figure(95)}, ${figure(99)}, ${(times.length / seconds).toFixed(1)}/s, ${times.length} in all`,
  );
}

const warmUp = Number(values['warm-up']);
// Twice the average, because some customers buy faster than others.
const each = (2 * count + warmUp) / customers;
const crowd = await Promise.all(Array.from({ length: customers }, () => createCustomer(each)));
// The first hundreds of purchases are slow, because the compiler has not optimized the code yet.
if (warmUp > 0) console.error(`${warmUp} purchases to warm up…`);
for (let i = 0; i < warmUp; i++) await crowd[i % customers]!.buy();
await measure(
  `purchase with Prefer: wait=5, ${customers} at a time`,
  crowd.map(({ buy }) => buy),
);
await measure(
  `read of one product, ${customers} at a time`,
  crowd.map(({ read }) => read),
);
