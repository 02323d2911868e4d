import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { until } from '../src/jogakbo.ts';
import { Store } from '../src/store.ts';

const store = new Store();
/** Of the whole store at rest, in megabytes. */
const budget = 550;

beforeAll(() => store.start(['--dense', '--no-seed']), 180_000);
afterAll(() => store.remove());

async function buyOnce(): Promise<string> {
  const { token } = await store.createMember();
  const { status, body } = await store.buy(token, store.buildOrder(await store.createProduct(1)));
  return `${status} ${body.status}`;
}
const readLog = (name: string) => readFileSync(join(store.home, 'logs', `${name}.log`), 'utf8');
const readServices = async () => (await store.listRows()).filter(({ url }) => url?.startsWith('http://'));

describe('a store in dense mode', () => {
  it('runs all services in one process, within the memory budget', async () => {
    expect(store.screen).toContain('all services share one process');
    const rows = await store.listRows();
    const services = rows.filter(({ pid }) => pid === rows[0]!.pid);
    expect(services.map(({ service }) => service)).toEqual(
      expect.arrayContaining(['gateway', 'orders', 'registry']),
    );
    expect(services.filter(({ memory }) => memory > 0)).toHaveLength(1);
    expect(rows.reduce((sum, { memory }) => sum + memory, 0) / 1024 ** 2).toBeLessThan(budget);
  });

  it('sells', async () => {
    expect(await buyOnce()).toBe('201 confirmed');
  });

  it('writes the log of each service to its own file', async () => {
    await until(
      () => readLog('orders').includes('orders.placed') || readLog('payments').includes('payments.'),
    );
    for (const name of ['orders', 'payments', 'gateway']) {
      const services = readLog(name).match(/"service":"[^"]+"/g)!;
      expect([...new Set(services)]).toEqual([`"service":"${name}"`]);
    }
    // Nest's own lines too.
    expect(readLog('orders')).toContain('"context":"NestApplication"');
  });

  it('restarts one service, and the others go on', async () => {
    const [before] = await readServices();
    const { code, output } = await store.run(['restart', 'inventory']);
    expect({ code, output }).toEqual({
      code: 0,
      output: expect.stringMatching(
        /^inventory is ready again\.\nIn dense mode it still runs the code that the process loaded at its start\./,
      ),
    });
    expect((await store.findRow('inventory'))?.pid).toBe(before!.pid);
    expect(await buyOnce()).toBe('201 confirmed');
  });

  it('comes back whole after its process was killed', async () => {
    const { pid } = (await store.findRow('orders'))!;
    process.kill(pid!, 'SIGKILL');
    await until(async () => {
      const rows = await readServices();
      return rows.length > 8 && rows.every((row) => row.state === 'ready' && row.pid !== pid);
    }, 60_000);
    expect(await buyOnce()).toBe('201 confirmed');
  });

  if (process.env['TEST_FULL'])
    it('reports which service has wrong settings, and starts nothing', async () => {
      expect((await store.run(['stop'])).code).toBe(0);
      const { code, output } = await store.run(['start', '--dense', '--detach', '--no-seed'], {
        LOG_LEVEL: 'loud',
      });
      expect(code).toBe(1);
      expect(output).toMatch(/settings of some services are invalid[^]*orders cannot start: 1 [^]*LOG_LEVEL/);
      expect((await store.run(['ps'])).code).toBe(1);
    });
});
