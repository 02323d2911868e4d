import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { queues } from '@jogakbo/messaging/topology';
import { createPrivateBroker, type PrivateBroker } from '@jogakbo/testing';
import { type ChannelModel, connect } from 'amqplib';
import { assertQueuesUnused } from '../src/alone/unused-queues.ts';
import { openState } from '../src/supervisor/state.ts';

const state = openState(mkdtempSync(join(tmpdir(), 'jogakbo-unused-')));
const commands = queues.commands('library');
let broker: PrivateBroker;
let connection: ChannelModel;

const check = () =>
  assertQueuesUnused(state, { kind: 'external', url: broker.url, title: 'RabbitMQ' }, [
    { service: 'museum' },
    { service: 'library' },
  ]);

beforeAll(async () => {
  broker = await createPrivateBroker();
  connection = await connect(broker.url);
});
afterAll(async () => {
  await connection.close();
  await broker.drop();
  rmSync(state.folder, { recursive: true });
});

it('refuses stubs while another store uses their queues, and permits them from then on', async () => {
  const channel = await connection.createChannel();
  await channel.assertQueue(commands);
  const { consumerTag } = await channel.consume(commands, () => undefined);
  await expect(check()).rejects.toMatchObject({
    message: 'Another store runs on RabbitMQ: stubs would take its messages.',
    details: [`${commands} has 0 messages and 1 consumers`],
  });
  await channel.cancel(consumerTag);
  await check();
  // The consumer of a stub.
  await channel.consume(commands, () => undefined);
  await check();
});
