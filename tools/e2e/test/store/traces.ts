import { randomBytes, randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { drawTrace, type SpanCollector } from '@jogakbo/testing/span-collector';
import { until } from '../../src/jogakbo.ts';
import { type Store } from '../../src/store.ts';

/** What one purchase must record. Statements are left out: the services choose them. */
const declared = [
  'gateway POST /v1/orders',
  '  gateway send orders.place-order',
  '    orders process orders.place-order',
];

export const traces = (store: Store, collector: SpanCollector) =>
  describe('the traces of the store', () => {
    it('show all services that took part in a purchase, in one tree', async () => {
      const trace = randomBytes(16).toString('hex');
      const { token } = await store.createMember();
      const { status } = await store.call('POST', '/v1/orders', {
        token,
        body: store.buildOrder(await store.createProduct(1)),
        headers: {
          ...{ 'idempotency-key': randomUUID(), prefer: 'wait=20' },
          traceparent: `00-${trace}-${'b'.repeat(16)}-01`,
        },
      });
      expect(status).toBe(201);
      const spans = await until(() => {
        const all = collector.getTrace(trace);
        return all.some(({ name }) => name === 'process notifications.send-mail') && all;
      });
      const calls = spans.filter(({ attributes }) => !attributes['db.system.name']);
      expect(drawTrace(calls)).toEqual(declared);
    });
  });
