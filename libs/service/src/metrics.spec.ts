import { PerformanceObserver } from 'node:perf_hooks';
import { expect, it, jest } from '@jest/globals';
import { Metrics } from './metrics.ts';

it('several instances in one process collect its metrics once, and show them with their own labels', async () => {
  const observe = jest.spyOn(PerformanceObserver.prototype, 'observe');
  const [loans, search] = [new Metrics('loans', '1.0.0'), new Metrics('search', '2.0.0')];
  expect(
    observe.mock.calls.filter(([what]) => 'entryTypes' in what && what.entryTypes.includes('gc')),
  ).toHaveLength(1);
  loans.countUnauthorizedSender('event');
  const texts = await Promise.all([loans.registry.metrics(), search.registry.metrics()]);
  expect(texts[0]).toMatch(/^process_resident_memory_bytes{service="loans",version="1.0.0"} \d+$/m);
  expect(texts[1]).toMatch(/^process_resident_memory_bytes{service="search",version="2.0.0"} \d+$/m);
  expect(texts[0]).toMatch(/^unauthorized_messages_total{.*service="loans".*} 1$/m);
  expect(texts[1]).not.toMatch(/^unauthorized_messages_total{.*} 1$/m);
  expect(texts[0]).not.toContain('nodejs_active_handles_total');
});
