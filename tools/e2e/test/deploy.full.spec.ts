import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { until } from '../src/jogakbo.ts';
import { SteadyLoad } from '../src/steady-load.ts';
import { CopiedStore } from '../src/workspace-copy.ts';

const store = new CopiedStore();
let productId: string;
let customer: { token: string };
beforeAll(async () => {
  await store.start(['--no-seed']);
  productId = await store.createProduct(100_000);
  customer = await store.createMember();
}, 240_000);
afterAll(() => store.remove());

const getOrder = 'apps/orders/src/get-order.ts';
const listOrders = 'apps/orders/src/list-orders.ts';
const handleList = 'async handle({ limit, cursor }: Body<typeof ListOrders>, { caller }: MessageContext) {';
const listVersions = async (service: string) =>
  (await store.listRows()).filter((row) => row.service === service).map(({ version }) => version);

/** On failure, Jest prints the output. */
const expectSuccess = ({ code, output }: { code: number | null; output: string }) =>
  expect(code === 0 ? 'well' : output).toBe('well');

/** Deploys while customers read and buy. */
async function deployUnderLoad(...args: string[]) {
  const load = new SteadyLoad(store, customer, productId);
  const began = performance.now();
  const { code, output } = await store.run(['deploy', ...args]);
  const seconds = (performance.now() - began) / 1_000;
  return { code, output, seconds, ...(await load.stop()) };
}

/** Why a version that ends while it handles a message is rolled back. */
const ended = /its process ended|ended \(code 3\) before it was ready/;

describe('jogakbo deploy', () => {
  it('has nothing to do for a store that runs the workspace', async () => {
    const { code, output } = await store.run(['deploy', '--plan', '--json']);
    expect(code).toBe(0);
    const actions = (JSON.parse(output) as { action: string }[]).map(({ action }) => action);
    expect([...new Set(actions)]).toEqual(['keep']);
  });

  it('plans only the service that changed, and deploys it without a failed request', async () => {
    const [before] = await listVersions('orders');
    store.edit(getOrder, '@Controller()', '// A change.\n@Controller()');
    const plan = await store.run(['deploy', '--plan', '--json']);
    const planned = (
      JSON.parse(plan.output) as { service: string; action: string; reasons: string[] }[]
    ).filter(({ action }) => action === 'deploy');
    expect(planned).toMatchObject([{ service: 'orders', reasons: [expect.stringContaining('apps/orders')] }]);
    const { code, output, seconds, requests, purchases, failures } = await deployUnderLoad();
    console.log(
      `redeployed in ${seconds.toFixed(1)} s with ${requests} requests and ${purchases} purchases\n${output}`,
    );
    expect({ code, failures }).toEqual({ code: 0, failures: [] });
    expect(purchases).toBeGreaterThan(5);
    const [after, ...more] = await listVersions('orders');
    expect(more).toEqual([]);
    expect(after).not.toBe(before);
    expect((await store.run(['split'])).output).toBe('No calls are split.\n');
  });

  it.each([
    ['fails', "throw new Error('no list');", /orders.list-orders: \d+ of \d+ failed/],
    [
      'is slow',
      'await new Promise((resolve) => setTimeout(resolve, 1_500));',
      // So slow that few of the calls end in the time of the step, or that it answers nearly as many with a delay.
      /orders.list-orders: (95 % took up to|handled \d+, where about \d+ were expected)/,
    ],
    ['uses too much memory', 'keep.push(Buffer.alloc(20_000_000, 1));', /uses \d+ MB, more than \d+ MB/],
    // It takes messages a moment before it reports that it is ready.
    ['ends', 'process.exit(3);', ended],
  ])('rolls back a version that %s', async (_what, code, reason) => {
    const before = await listVersions('orders');
    store.edit(listOrders, handleList, `${handleList}\n    ${code}`);
    store.edit(listOrders, '@Controller()', 'const keep: Buffer[] = [];\n@Controller()');
    const result = await deployUnderLoad('--steps', '50,100');
    store.restore(listOrders);
    expect(result).toMatchObject({ code: 1, output: expect.stringMatching(reason) });
    expect(result.output).toContain(`orders ${before[0]} keeps running`);
    expect(await listVersions('orders')).toEqual(before);
    const after = await store.call('GET', '/v1/orders', { token: customer.token });
    expect(after.status).toBe(200);
  });

  it('rolls back a version that ends at its start, with the end of its log, and customers notice nothing', async () => {
    const before = await listVersions('orders');
    store.edit(getOrder, '// A change.', "throw new Error('the shelf is missing');");
    const { code, output, failures } = await deployUnderLoad();
    store.edit(getOrder, "throw new Error('the shelf is missing');", '// A change.');
    expect({ code, failures }).toEqual({ code: 1, failures: [] });
    expect(output).toContain('the shelf is missing');
    expect(await listVersions('orders')).toEqual(before);
  });

  it('is refused if it would break a running consumer, which is named', async () => {
    const contract = 'libs/contracts/inventory/src/index.ts';
    const before = await listVersions('inventory');
    const input = 'input: z.strictObject({ orderId: Id, lines: Lines }),';
    store.edit(contract, input, input.replace('lines: Lines', 'lines: Lines, warehouse: Id'));
    const { code, output } = await store.run(['deploy', 'inventory']);
    store.restore(contract);
    expect(code).toBe(1);
    expect(output).toContain('nothing was deployed');
    expect(output).toMatch(/orders.*reserve-stock|reserve-stock[^]*orders/);
    expect(output).toContain('.v2');
    expect(await listVersions('inventory')).toEqual(before);
  });

  it('is refused while another one deploys; a killed one is undone', async () => {
    const before = await listVersions('orders');
    store.edit(getOrder, '// A change.', '// Another change.');
    const { child, output } = store.spawn(['deploy', '--watch', '60']);
    await until(() => output().includes('10 % of the calls'), 60_000);
    expect(await store.run(['deploy'])).toEqual({
      code: 1,
      output: expect.stringContaining('Another command is deploying to this store.'),
    });
    child.kill('SIGKILL');
    await until(async () => (await listVersions('orders')).length === 1);
    expect(await listVersions('orders')).toEqual(before);
    const next = await store.run(['deploy']);
    expect(next).toMatchObject({
      code: 0,
      output: expect.stringContaining('was interrupted, and is undone'),
    });
    expect((await store.run(['split'])).output).toBe('No calls are split.\n');
  });
});

it('jogakbo rollback runs the previous version again without a failed request', async () => {
  const [current] = await listVersions('orders');
  const load = new SteadyLoad(store, customer, productId);
  const began = performance.now();
  const { code, output } = await store.run(['rollback', 'orders']);
  console.log(`rolled back in ${((performance.now() - began) / 1_000).toFixed(1)} s\n${output}`);
  expect({ code, failures: (await load.stop()).failures }).toEqual({ code: 0, failures: [] });
  const [previous] = await listVersions('orders');
  expect(previous).not.toBe(current);
  const history = await store.run(['history', 'orders']);
  expect(history.output).toMatch(/promoted.*roll back/);
  expect(history.output).toMatch(new RegExp(`rolled back.*(${ended.source})`));
});

it('jogakbo scale changes the number of instances without a failed request', async () => {
  expect(await store.run(['scale', 'orders', 'many'])).toMatchObject({ code: 2 });
  const load = new SteadyLoad(store, customer, productId);
  const up = await store.run(['scale', 'orders', '3']);
  expect(up).toEqual({ code: 0, output: expect.stringContaining('orders has 3 instances') });
  expect(await listVersions('orders')).toHaveLength(3);
  expect((await store.run(['scale', 'orders', '1'])).code).toBe(0);
  expect(await listVersions('orders')).toHaveLength(1);
  expect((await load.stop()).failures).toEqual([]);
});

it('a generated service is deployed, called through the gateway, and removed without a trace', async () => {
  const before = store.listFiles();
  expectSuccess(await store.runNx('g', 'service', 'letters'));
  const began = performance.now();
  const { code, output, failures } = await deployUnderLoad('letters');
  console.log(
    `a generated service runs after ${((performance.now() - began) / 1_000).toFixed(1)} s\n${output}`,
  );
  expect({ code, failures }).toEqual({ code: 0, failures: [] });
  const { token } = customer;
  const headers = { 'idempotency-key': 'first' };
  const letter = { body: { text: 'Dear all' }, token, headers };
  await until(async () => (await store.call('GET', '/v1/letters')).status === 200, 10_000);
  expect(await store.call('POST', '/v1/letters', letter)).toMatchObject({ status: 201 });
  expect((await store.call('GET', '/v1/letters')).body.items).toMatchObject([{ text: 'Dear all' }]);
  expectSuccess(await store.run(['remove', 'service', 'letters', '--data', '--yes']));
  expect(await listVersions('letters')).toEqual([]);
  await until(async () => (await store.call('GET', '/v1/letters')).status === 404);
  expect(store.listFiles()).toEqual(before);
});
