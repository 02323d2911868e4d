import { type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { root } from '@jogakbo/cli/src/workspace.ts';
import { inFullRuns } from '@jogakbo/testing/full-runs';
import { getSlowdown } from '@jogakbo/testing/slowdown';
import { Jogakbo, until } from '../src/jogakbo.ts';

/** Milliseconds from a change of a source until the new instance is ready, if no other program uses the processors. */
const reloadMs = 2_000;

const workspace = new Jogakbo();
/** Processes of this store. Their command line or environment contains its folder. */
const listProcesses = () =>
  readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      return ['cmdline', 'environ']
        .map((file) => readFileSync(`/proc/${pid}/${file}`, 'utf8'))
        .join()
        .includes(workspace.home);
    } catch {
      return false;
    }
  });

let child: ChildProcess;
beforeAll(() => workspace.make());
afterAll(async () => {
  child?.kill('SIGINT');
  await until(() => child?.exitCode !== null, 40_000).catch(() => undefined);
  await workspace.remove();
}, 60_000);

describe('a service that runs alone', () => {
  let output: () => string;
  let token: string;

  const call = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const response = await fetch(`http://127.0.0.1:${workspace.port}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const placeOrder = (seconds: number) =>
    call(
      'POST',
      '/v1/orders',
      {
        lines: [{ productId: randomUUID(), quantity: 2 }],
        shipTo: { name: 'Kim', line1: 'Jong-ro 1', city: 'Seoul', postalCode: '03000', country: 'KR' },
        payment: { token: 'tok_ok' },
      },
      { 'idempotency-key': randomUUID(), prefer: `wait=${seconds}` },
    );

  beforeAll(async () => {
    ({ child, output } = workspace.spawn(['serve', 'orders', '--stub', 'inventory.return-stock=fault']));
    token = await until(() => /TOKEN=(\S+)/.exec(output())?.[1], 240_000).catch((error: unknown) => {
      throw new Error(output(), { cause: error });
    });
  }, 250_000);

  it('says what is real and what is stubbed', async () => {
    expect(output()).toMatch(/^orders +real +http:\/\/127\.0\.0\.1:\d+ +from apps\/orders/m);
    expect(output()).toMatch(/^catalog +stub +quote-products +stubs\.ts$/m);
    expect(output()).toMatch(/^inventory +stub +return-stock +--stub$/m);
    expect(output()).toMatch(/^identity +stub +.*list-revocations.* +development key$/m);
    expect(output()).toMatch(/^ +npx jogakbo emit inventory\.stock-refused$/m);
    const rows = (await workspace.listRows()).map(({ service, state }) => `${service} ${state}`);
    expect(rows).toEqual([
      ...['gateway ready', 'orders served', 'stubs ready'],
      ...['broker ready', 'database ready', 'supervisor ready'],
    ]);
  });

  it('is used through the gateway, and uses stubs', async () => {
    expect(await placeOrder(10)).toMatchObject({
      status: 201,
      body: { status: 'confirmed', total: { amount: 24_000, currency: 'KRW' } },
    });
    expect(output()).toContain('catalog.quote-products: answered (stubs.ts)');
    expect(output()).toContain('published inventory.stock-reserved');
    expect(await call('GET', '/v1/orders')).toMatchObject({ status: 200 });
    token = `${token.slice(0, -4)}AAAA`;
    expect(await call('GET', '/v1/orders')).toMatchObject({ status: 401 });
    token = /TOKEN=(\S+)/.exec(output())![1]!;
  });

  it('is ready again soon after a change', async () => {
    const count = () => output().split('serve: orders is ready at').length;
    const times: number[] = [];
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const before = count();
      const began = performance.now();
      const now = new Date();
      utimesSync(join(root, 'apps/orders/src/orders.module.ts'), now, now);
      await until(() => count() > before, 60_000);
      times.push(performance.now() - began);
    }
    console.log(`reloaded in ${times.map(Math.round).join(', ')} ms, slowdown ${getSlowdown().toFixed(1)}`);
    expect(Math.min(...times)).toBeLessThan(reloadMs * getSlowdown());
    expect(await placeOrder(10)).toMatchObject({ status: 201 });
  });

  it('receives events from the command line, and refuses those that do not fit their contract', async () => {
    const emit = (data: string) => workspace.run(['emit', 'payments.payment-refunded', '--data', data]);
    const { orderId } = (await placeOrder(10)).body;
    await call('POST', `/v1/orders/${orderId}/cancellation`, {}, { 'idempotency-key': randomUUID() });
    expect(await emit(JSON.stringify({ orderId }))).toMatchObject({ code: 0 });
    await until(async () => (await call('GET', `/v1/orders/${orderId}`)).body['status'] === 'refunded');
    expect(await emit('{"orderId":"x"}')).toMatchObject({
      code: 2,
      output: expect.stringContaining('orderId: Invalid UUID'),
    });
    expect(await workspace.run(['emit', 'payments.payment-voided', '--data', '{'])).toMatchObject({
      code: 2,
    });
    expect(await workspace.run(['emit', 'catalog.product-added'])).toMatchObject({
      code: 1,
      output: expect.stringContaining('No service receives catalog.product-added'),
    });
  });

  it('leaves no process after Ctrl-C', async () => {
    child.kill('SIGINT');
    await until(() => child.exitCode !== null, 40_000);
    expect(child.exitCode).toBe(0);
    // The port mapper of Erlang ends a moment after the broker.
    await until(() => listProcesses().length === 0, 10_000);
  }, 60_000);
});

describe('a wrong stub', () => {
  inFullRuns(
    'ends the start with the reason, and leaves no process',
    async () => {
      const { code, output } = await workspace.run([
        'serve',
        'orders',
        '--stub',
        'catalog.quote-products=lost',
      ]);
      expect(code).toBe(1);
      expect(output).toContain('The stubs of orders are wrong.');
      expect(output).toContain('catalog.quote-products has no rejection lost: use one of ');
      await until(() => listProcesses().length === 0, 10_000);
    },
    250_000,
  );
});
