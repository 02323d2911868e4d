import { expect, it } from '@jest/globals';
import { Counter, Histogram, Registry } from 'prom-client';
import { readMetrics } from './read-metrics.ts';

async function render(fill: (messages: Histogram, requests: Histogram) => void): Promise<string> {
  const registry = new Registry();
  registry.setDefaultLabels({ service: 'tea', version: '1.0.0-abc' });
  const buckets = [0.01, 0.1];
  const histogram = (name: string, labelNames: string[]) =>
    new Histogram({ name, help: 'h', labelNames, buckets, registers: [registry] });
  fill(
    histogram('messages_handled_seconds', ['message', 'kind', 'outcome']),
    histogram('http_requests_seconds', ['route', 'method', 'status']),
  );
  new Counter({ name: 'process_start_time_seconds', help: 'h', registers: [registry] }).inc(1_700_000_000);
  return registry.metrics();
}

it('reads messages by their outcome, with the durations of all of them', async () => {
  const text = await render((messages) => {
    const observe = (outcome: string, seconds: number) =>
      messages.observe({ message: 'tea.brew', kind: 'command', outcome }, seconds);
    observe('ok', 0.005);
    observe('ok', 0.05);
    observe('rejection', 0.005);
    observe('fault', 5);
    observe('forwarded', 5);
  });
  const { version, startedAt, traffic } = readMetrics(text);
  expect({ version, startedAt }).toEqual({ version: '1.0.0-abc', startedAt: '1700000000' });
  expect([...traffic]).toEqual([
    [
      'tea.brew',
      {
        isCall: true,
        ok: 2,
        rejected: 1,
        failed: 1,
        buckets: [
          [0.01, 2],
          [0.1, 3],
          [Infinity, 4],
        ],
      },
    ],
  ]);
});

it('reads requests by their status, without those of the platform', async () => {
  const text = await render((_messages, requests) => {
    for (const [route, status] of [
      ['/v1/teas/{id}', '200'],
      ['/v1/teas/{id}', '404'],
      ['/v1/teas/{id}', '503'],
      ['/health/ready', '503'],
      ['/metrics', '200'],
    ] as const)
      requests.observe({ method: 'GET', route, status }, 0.001);
  });
  const { traffic } = readMetrics(text);
  expect([...traffic.keys()]).toEqual(['GET /v1/teas/{id}']);
  expect(traffic.get('GET /v1/teas/{id}')).toMatchObject({ isCall: true, ok: 1, rejected: 1, failed: 1 });
});

it('tells events from calls, and ignores what it does not understand', async () => {
  const text = await render((messages) =>
    messages.observe({ message: 'cup.emptied', kind: 'event', outcome: 'ok' }, 0.001),
  );
  expect(readMetrics(text).traffic.get('cup.emptied')).toMatchObject({ isCall: false, ok: 1 });
  expect(readMetrics('<html>no metrics</html>')).toEqual({
    ...{ version: '', startedAt: '', memory: 0 },
    traffic: new Map(),
  });
});

it('reads the memory of the process', () => {
  const text = 'process_resident_memory_bytes{service="tea",version="1.0.0"} 91234304\n';
  expect(readMetrics(text).memory).toBe(91_234_304);
});
