import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { consistencyMigrations, end, minutes, saga, to, type UnitOfWork } from '@jogakbo/consistency';
import { Id, service, type Body } from '@jogakbo/contract';
import { Handles } from '@jogakbo/messaging';
import { Service } from '@jogakbo/service';
import { eventually, ServiceUnderTest } from '@jogakbo/testing';
import { TelemetryCollector } from '@jogakbo/testing/telemetry-collector';
import { Controller } from '@nestjs/common';
import { z } from 'zod';

const brewery = service('brewery');
const Brew = brewery.command('brew', { input: z.strictObject({ potId: Id, water: z.url() }) });
const Brewed = brewery.event('brewed', z.object({ potId: Id }), { subject: 'potId' });

@Controller()
class BrewHandler {
  @Handles(Brew)
  async handle({ potId, water }: Body<typeof Brew>, { publish }: UnitOfWork): Promise<void> {
    await (await fetch(water)).text();
    publish(Brewed({ potId }));
  }
}

const drinking = saga('drinking', 'potId')
  .startedBy(Brewed, () => to({}))
  .after(minutes(10), () => end());

@Service({
  contract: brewery,
  handlers: [BrewHandler],
  sagas: [drinking],
  migrations: [...consistencyMigrations],
})
class BreweryModule {}

const collector = new TelemetryCollector();
const traceId = '0af7651916cd43dd8448eb211c80319c';
const potId = '0190a6c1-7b5e-7c31-9d6e-0123456789ab';
let water: Server;
let tea: ServiceUnderTest;

beforeAll(async () => {
  water = createServer((_request, response) => response.end('water'));
  await new Promise<void>((resolve) => water.listen(0, '127.0.0.1', resolve));
  tea = await ServiceUnderTest.start(BreweryModule, {
    LOG_LEVEL: 'info',
    OTEL_EXPORTER_OTLP_ENDPOINT: await collector.open(),
    OTEL_METRIC_EXPORT_INTERVAL: '200',
  });
}, 30_000);
afterAll(async () => {
  await tea.stop();
  water.close();
  await collector.close();
});

describe('the telemetry of a service', () => {
  it('has the spans and log lines of a command in one trace, with its requests to others', async () => {
    const url = `http://127.0.0.1:${(water.address() as AddressInfo).port}`;
    const traceparent = `00-${traceId}-b7ad6b7169203331-01`;
    await tea.send(Brew({ potId, water: url }), undefined, { language: 'und', traceparent });
    await tea.waitForEvent(Brewed);
    const handled = await eventually(() =>
      collector.spans.find(({ name }) => name === 'process brewery.brew'),
    );
    expect(handled.traceId).toBe(traceId);
    const request = await eventually(() => collector.spans.find(({ name }) => name === 'GET'));
    expect(request).toMatchObject({ traceId, parentId: handled.spanId, kind: 'client', isError: false });
    const line = await eventually(() => collector.logs.find(({ body }) => body === 'brewery.brew ok'));
    expect(line).toMatchObject({ service: 'brewery', severity: 'info', traceId });
    expect(handled.instance).toBe(line.instance);
  });

  it('has metrics of messages, queues, database and process', async () => {
    const readSagas = () =>
      collector.points.filter(({ metric }) => metric === 'saga_open_instances').map(({ value }) => value);
    await eventually(() => readSagas().includes(1));
    const find = (metric: string, attributes: object = {}) =>
      expect.objectContaining({
        metric,
        service: 'brewery',
        attributes: expect.objectContaining(attributes),
      });
    const { points } = collector;
    expect(points).toEqual(
      expect.arrayContaining([
        find('queue_messages', { queue: 'brewery.commands' }),
        find('outbox_open_messages'),
        find('outbox_oldest_message_seconds'),
        find('saga_open_instances', { saga: 'drinking' }),
        find('database_connections', { state: 'idle' }),
        find('process_resident_memory_bytes'),
        find('nodejs_eventloop_lag_seconds'),
        find('telemetry_lost', { signal: 'spans' }),
      ]),
    );
    const histogram = await eventually(() =>
      points.find(
        ({ metric, attributes }) =>
          metric === 'messages_handled_seconds' && attributes['message'] === 'brewery.brew',
      ),
    );
    expect(histogram).toMatchObject({ kind: 'histogram', unit: 's', attributes: { outcome: 'ok' } });
    expect(histogram.exemplars).toMatchObject([{ traceId, value: histogram.value }]);
  });
});
