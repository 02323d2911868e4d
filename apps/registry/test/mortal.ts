// An instance in a process of its own, to be killed: node mortal.ts <broker> <seconds between beats>
import { describe, service } from '@jogakbo/contract';
import { Announcer, BrokerConnection, Publisher } from '@jogakbo/messaging';

const [, , broker, interval] = process.argv;
const connection = await new BrokerConnection().open(broker!, 'mortal');
const publisher = new Publisher(connection);
await publisher.open();
const startedAt = new Date().toISOString();
const announcer = new Announcer(connection, publisher, () => ({
  ...{ service: 'mortal', version: '1', instance: `mortal-${process.pid}`, state: 'up', startedAt },
  ...{ url: 'http://127.0.0.1:9', interval: Number(interval), madeQueues: [] },
  contract: describe(service('mortal')),
}));
await announcer.open();
process.send!('announced');
