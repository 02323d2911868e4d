import { PerformanceObserver } from 'node:perf_hooks';
import { expect, it, jest } from '@jest/globals';
import { withCall } from '@jogakbo/messaging';
import type { MetricFamily, Telemetry } from '@jogakbo/observability';
import type { DataSource } from 'typeorm';
import { Metrics } from './metrics.ts';

it('several instances in one process collect its metrics once, and show them with their own labels', async () => {
  const observe = jest.spyOn(PerformanceObserver.prototype, 'observe');
  const [loans, search] = [new Metrics('loans', '1.0.0'), new Metrics('search', '2.0.0')];
  expect(
    observe.mock.calls.filter(([what]) => 'entryTypes' in what && what.entryTypes.includes('gc')),
  ).toHaveLength(1);
  loans.countUnauthorizedSender('event');
  const texts = await Promise.all([loans.render('prometheus'), search.render('prometheus')]);
  expect(texts[0]).toMatch(/^process_resident_memory_bytes{service="loans",version="1.0.0"} \d+$/m);
  expect(texts[1]).toMatch(/^process_resident_memory_bytes{service="search",version="2.0.0"} \d+$/m);
  expect(texts[0]).toMatch(/^unauthorized_messages_total{.*service="loans".*} 1$/m);
  expect(texts[1]).not.toMatch(/^unauthorized_messages_total{.*} 1$/m);
  expect(texts[0]).not.toContain('nodejs_active_handles_total');
});

it('OpenMetrics has exemplars, and leaves the names of the other format as they are', async () => {
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const metrics = new Metrics('loans', '1.0.0');
  metrics.countUnauthorizedSender('event');
  withCall({ language: 'und', traceparent: `00-${traceId}-b7ad6b7169203331-01` }, () =>
    metrics.observeMessage({ name: 'loans.add-loan', kind: 'command', outcome: 'ok', seconds: 0.02 }),
  );
  const before = await metrics.render('prometheus');
  const text = await metrics.render('openmetrics');
  expect(text).toMatch(/^# TYPE unauthorized_messages counter$/m);
  expect(text).toMatch(/^unauthorized_messages_total{kind="event",service="loans",version="1.0.0"} 1$/m);
  expect(text).toMatch(
    new RegExp(`^messages_handled_seconds_bucket{.*le="0.025".*} 1 # {trace_id="${traceId}"} 0.02 \\d+`, 'm'),
  );
  expect(text).toMatch(/\n# EOF\n$/);
  const names = (from: string) => from.match(/^# TYPE \S+/gm);
  expect(names(await metrics.render('prometheus'))).toEqual(names(before));
});

it('exports its metrics without the labels of another instance of the process', async () => {
  let read: (() => Promise<MetricFamily[]>) | undefined;
  const telemetry = {
    lost: { spans: 1, logs: 2, metrics: 0 },
    exportMetrics: (from: typeof read) => (read = from),
  };
  const [loans, search] = [new Metrics('loans', '1.0.0'), new Metrics('search', '2.0.0')];
  loans.exportTo(telemetry as unknown as Telemetry);
  const families = await read!();
  expect(families.find(({ name }) => name === 'telemetry_lost')?.values).toMatchObject([
    { labels: { signal: 'spans' }, value: 1 },
    { labels: { signal: 'logs' }, value: 2 },
    { labels: { signal: 'metrics' }, value: 0 },
  ]);
  expect(families.map(({ name }) => name)).toContain('process_resident_memory_bytes');
  expect(await search.render('prometheus')).not.toContain('service="loans"');
});

it('measures the event loop once for all readers within seconds', async () => {
  const [loans, search] = [new Metrics('loans', '1.0.0'), new Metrics('search', '2.0.0')];
  const read = async (metrics: Metrics) =>
    Number(/^nodejs_eventloop_lag_min_seconds{.*} (.+)$/m.exec(await metrics.render('prometheus'))![1]);
  // The event loop is sampled ten times a second.
  await new Promise((resolve) => setTimeout(resolve, 300));
  const later = performance.now() + 60_000;
  jest.spyOn(performance, 'now').mockReturnValue(later);
  const first = await read(loans);
  expect(first).toBeGreaterThan(0);
  expect(first).toBeLessThan(10);
  expect(await read(search)).toBe(first);
  jest.restoreAllMocks();
});

it('shows no number of waiting messages while the database is not reachable', async () => {
  const metrics = new Metrics('loans', '1.0.0');
  let rows: object[] = [{ open: 7, age: 12.5 }];
  const query = (text: string) => Promise.resolve(text.includes('outbox') ? rows : []);
  metrics.watchDatabase({ isInitialized: true, driver: {}, query } as unknown as DataSource);
  const read = async () =>
    [...(await metrics.render('prometheus')).matchAll(/^outbox_\w+{.*} (.+)$/gm)].map(([, value]) => value);
  expect(await read()).toEqual(['7', '12.5']);
  rows = [];
  expect(await read()).toEqual([]);
});
