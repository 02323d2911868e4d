import { randomBytes, randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { service } from '@jogakbo/contract';
import { type BrokerConnection, exchanges, Grants, type HandledMessage, queues } from '@jogakbo/messaging';
import { declareTopology } from '@jogakbo/messaging/declare-topology';
import { createPrivateBroker, eventually, type PrivateBroker } from '@jogakbo/testing';
import { connect, type ChannelModel, type ConfirmChannel, type Options } from 'amqplib';
import { z } from 'zod';
import { openConnection, serve, type ServerUnderTest } from './brokers.ts';

// Logins are global in a broker: a parallel run of this suite must not delete them.
const unique = randomBytes(4).toString('hex').replace(/\d/g, 'x');
const [shopName, friendName, intruderName, operatorName] = ['shop', 'friend', 'intruder', 'operator'].map(
  (name) => `${name}${unique}`,
) as [string, string, string, string];
const Take = service(shopName).command('take', { input: z.strictObject({}) });
const Opened = service(friendName).event('opened', z.object({}));

describe('a message of an unauthorized sender', () => {
  let broker: PrivateBroker;
  let connection: BrokerConnection;
  let under: ServerUnderTest;
  let operator: ChannelModel;
  let dead: ConfirmChannel;
  const handled: HandledMessage[] = [];
  const counted: string[] = [];
  const models: ChannelModel[] = [];

  beforeEach(async () => {
    handled.length = counted.length = models.length = 0;
    broker = await createPrivateBroker();
    operator = await connect(await broker.login(operatorName));
    dead = await operator.createConfirmChannel();
    const describeService = (name: string, calls: string[] = [], subscribesTo: string[] = []) => ({
      ...{ service: name, calls, subscribesTo, publishes: [], isGateway: false },
      contracts: name === shopName ? [{ name: Take.name, kind: 'command' as const }] : [],
    });
    const services = [
      describeService(shopName, [], [Opened.name]),
      describeService(friendName, [Take.name]),
      describeService(intruderName),
    ];
    await declareTopology(dead, services, operatorName, [30]);
    const opened = await openConnection(await broker.login(shopName), operatorName);
    connection = opened.connection;
    connection.onRefusedMessage((kind) => void counted.push(kind));
    under = await serve(
      {
        ...{ service: shopName, grants: () => new Grants(services), ...opened },
        observe: (one) => void handled.push(one),
        split: { version: '1', shares: () => ({ '1': 50 }), aliveSince: () => [] },
      },
      [
        [Take, async () => undefined],
        [Opened, async () => undefined],
      ],
    );
  });
  afterEach(async () => {
    await under.server.close();
    await connection.close();
    await Promise.all([operator, ...models].map((model) => model.close()));
    await broker.drop();
  });

  async function publish(
    login: string,
    key: string,
    body: string,
    options: Options.Publish = {},
  ): Promise<void> {
    const model = await connect(await broker.login(login));
    models.push(model);
    const channel = await model.createConfirmChannel();
    const exchange = (key === Opened.name ? exchanges.events : exchanges.requests)(key);
    channel.publish(exchange, key, Buffer.from(body), { userId: login, messageId: randomUUID(), ...options });
    await channel.waitForConfirms();
  }
  const takeDeadLetter = () =>
    eventually(async () => (await dead.get(queues.dead(shopName), { noAck: true })) || undefined);

  it.each([
    ['command', Take.name, 'unknown'],
    ['event', Opened.name, 'event'],
  ])('is not answered and not logged as an error if it is an unreadable %s', async (_, key, kind) => {
    const replyTo = `reply.${intruderName}.1`;
    await publish(intruderName, key, 'not JSON', { replyTo });
    const { properties } = await takeDeadLetter();
    // The broker dead-lettered it, with the properties of its sender.
    expect(properties).toMatchObject({ userId: intruderName, replyTo });
    expect(counted).toEqual([kind]);
    expect(handled).toMatchObject([{ outcome: 'unauthorized' }]);
    expect(under.log).toMatchObject([{ level: 'warn', text: expect.stringContaining('refused a message') }]);
  });

  it('is handled as unreadable if its sender may call the service', async () => {
    await publish(friendName, Take.name, 'not JSON');
    const { properties } = await takeDeadLetter();
    expect(properties).toMatchObject({
      userId: shopName,
      headers: { cause: expect.stringContaining('not JSON') },
    });
    expect(counted).toEqual([]);
  });

  it('is reported once if it was sent to the queue of a version', async () => {
    const body = JSON.stringify({ pattern: Take.name, data: {} });
    await publish(intruderName, `${Take.name}@1`, body);
    const { properties } = await takeDeadLetter();
    expect(properties.userId).toBe(intruderName);
    expect(counted).toEqual(['command']);
    expect(under.log).toHaveLength(1);
    expect(handled).toHaveLength(1);
  });
});
