// Buys from a running store and prints how long it took: npm run bench -- [--count 200] [--customers 1] [--warm-up 300] [--url http://localhost:3000]
import { parseArgs } from 'node:util';
import { createCustomer } from './customer.ts';

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
const crowd = await Promise.all(Array.from({ length: customers }, () => createCustomer(values.url, each)));
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
