// An instance in its own process, to be killed by tests: node mortal.ts <broker> <seconds between heartbeats>
import { describe, service } from '@jogakbo/contract';
import { Announcer, BrokerConnection, Publisher } from '@jogakbo/messaging';

const [, , broker, interval] = process.argv;
const connection = await new BrokerConnection().open(broker!, 'killable');
const publisher = new Publisher(connection);
await publisher.open();
const startedAt = new Date().toISOString();
const announcer = new Announcer(connection, publisher, () => ({
  service: 'killable',
  version: '1',
  instance: `killable-${process.pid}`,
  state: 'up',
  startedAt,
  url: 'http://127.0.0.1:9',
  interval: Number(interval),
  madeQueues: [],
  contract: describe(service('killable')),
}));
await announcer.open();
process.send!('announced');
