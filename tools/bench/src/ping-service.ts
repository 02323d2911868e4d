// A service on the bus that answers at once, without Nest: node ping-service.ts, with RABBITMQ_URL
import { setTimeout as sleep } from 'node:timers/promises';
import { describe } from '@jogakbo/contract';
import { Announcer, BrokerConnection, Publisher, RabbitServer } from '@jogakbo/messaging';
import { GetPing, GetSharedPing, ping, text, Workload } from './ping.ts';

const connection = await new BrokerConnection().open(process.env['RABBITMQ_URL']!, ping.name);
const publisher = new Publisher(connection);
await publisher.open();
const server = new RabbitServer({ service: ping.name, connection, publisher, concurrency: () => 64 });
server.addContractHandler(GetPing, async (data) => ({ ...(data as { pingId: string }), text }));
server.addContractHandler(GetSharedPing, async (data) => ({ ...(data as { pingId: string }), text }));
server.addContractHandler(Workload, async (data) => {
  await sleep((data as { takes: number }).takes);
  return { done: true };
});
await server.listen((error) => {
  if (error) throw error as Error;
});
const startedAt = new Date().toISOString();
const announcer = new Announcer(connection, publisher, () => ({
  service: ping.name,
  version: '0.1.0',
  instance: `ping-${process.pid}`,
  state: 'up' as const,
  url: 'http://127.0.0.1:1',
  startedAt,
  interval: 1,
  madeQueues: [],
  contract: describe(ping),
}));
await announcer.open();
