import { describe, expect, it } from '@jest/globals';
import type { ReceivedSpan } from '@jogakbo/observability/otlp';
import { type TelemetryCollector } from '@jogakbo/testing/telemetry-collector';
import { until } from '../../src/jogakbo.ts';
import { type Store } from '../../src/store.ts';

const isCall = ({ attributes }: ReceivedSpan) => !attributes['db.system.name'];

/** Each span below its parent: `parent > child`. Without the parent for the first span, and for one whose parent is missing. */
function listEdges(spans: readonly ReceivedSpan[]): string[] {
  const names = new Map(spans.map(({ spanId, service, name }) => [spanId, `${service} ${name}`]));
  const edges = spans.map(({ spanId, parentId }) => {
    const parent = parentId && names.get(parentId);
    return `${parent ? `${parent} > ` : ''}${names.get(spanId)}`;
  });
  return [...new Set(edges)].sort();
}

/** What a purchase records, besides statements and its queries. */
const declared = [
  'gateway POST /v1/orders',
  'gateway POST /v1/orders > gateway send orders.place-order',
  'gateway send orders.place-order > orders process orders.place-order',
  'inventory create inventory.stock-reserved > orders process inventory.stock-reserved',
  'inventory process inventory.commit-stock > inventory create inventory.stock-committed',
  'inventory process inventory.reserve-stock > inventory create inventory.expire-reservation',
  'inventory process inventory.reserve-stock > inventory create inventory.stock-reserved',
  'notifications create notifications.send-mail > notifications process notifications.send-mail',
  'notifications process orders.order-confirmed > notifications create notifications.send-mail',
  'orders create inventory.commit-stock > inventory process inventory.commit-stock',
  'orders create inventory.reserve-stock > inventory process inventory.reserve-stock',
  'orders create orders.order-confirmed > notifications process orders.order-confirmed',
  'orders create payments.authorize-payment > payments process payments.authorize-payment',
  'orders create payments.capture-payment > payments process payments.capture-payment',
  'orders process inventory.stock-reserved > orders create payments.authorize-payment',
  'orders process orders.place-order > orders create inventory.reserve-stock',
  'orders process orders.place-order > orders create orders.order-placed',
  'orders process orders.place-order > orders send catalog.quote-products',
  'orders process orders.place-order > orders send payments.check-payment-token',
  'orders process payments.payment-authorized > orders create inventory.commit-stock',
  'orders process payments.payment-authorized > orders create orders.order-confirmed',
  'orders process payments.payment-authorized > orders create payments.capture-payment',
  'orders send catalog.quote-products > catalog process catalog.quote-products',
  'orders send payments.check-payment-token > payments process payments.check-payment-token',
  'payments create payments.payment-authorized > orders process payments.payment-authorized',
  'payments process payments.authorize-payment > payments create payments.payment-authorized',
  'payments process payments.capture-payment > payments create payments.payment-captured',
];

export const traces = (store: Store, collector: TelemetryCollector) =>
  describe('the traces of the store', () => {
    it('show all services that took part in a purchase, in one tree', async () => {
      const { traceId, email, order } = await store.buyInTrace();
      // Each service exports once a second.
      const last = 'notifications process notifications.send-mail';
      const spans = await until(() => {
        const all = collector.getTrace(traceId);
        const edges = listEdges(all);
        const roots = edges.filter((edge) => !edge.includes(' > '));
        return edges.some((edge) => edge.endsWith(last)) && roots.length === 1 && all;
      });
      const { kind, attributes } = spans.find(({ name }) => name === 'POST /v1/orders')!;
      expect({ kind, attributes }).toEqual({
        kind: 'server',
        attributes: {
          'http.request.method': 'POST',
          'http.route': '/v1/orders',
          'http.response.status_code': 201,
          'user.id': expect.any(String),
        },
      });
      expect(listEdges(spans.filter(isCall))).toEqual(expect.arrayContaining(declared));
      const statements = spans.filter((span) => !isCall(span));
      const services = ['inventory', 'notifications', 'orders', 'payments'];
      expect(statements.map(({ service }) => service)).toEqual(expect.arrayContaining(services));
      expect(JSON.stringify(spans)).not.toContain(email);
      // The id of the order leads to the trace.
      const subjects = spans.map((span) => span.attributes['jogakbo.message.subject']);
      expect(subjects).toContain(order.orderId);
    });
  });
