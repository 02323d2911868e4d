import { buyOnce } from './buy-once.ts';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { until } from '../../src/jogakbo.ts';
import { type Store } from '../../src/store.ts';

/** Of the whole store at rest, in megabytes. */
const budget = 550;

/** Must run first: it measures the memory of a store at rest. */
export const oneProcess = (store: Store) =>
  describe('a store in dense mode', () => {
    const readLog = (name: string) => readFileSync(join(store.home, 'logs', `${name}.log`), 'utf8');

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
      expect(await buyOnce(store)).toBe('201 confirmed');
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
  });
