import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { BrokerConnection, Listener, Publisher, RecoveringChannel } from '@jogakbo/messaging';
import { createPrivateBroker, eventually, type PrivateBroker } from '@jogakbo/testing';
import { Logger } from '@nestjs/common';

describe('a connection to the broker', () => {
  let broker: PrivateBroker;
  let connection: BrokerConnection;
  beforeEach(async () => {
    broker = await createPrivateBroker();
    connection = await new BrokerConnection({ operator: 'operator' }).open(broker.url, 'test');
  });
  afterEach(async () => {
    await connection.close();
    await broker.drop();
  });

  it('keeps no channel that was closed', async () => {
    const open = async (): Promise<WeakRef<RecoveringChannel>> => {
      const channel = new RecoveringChannel(connection, (model) => model.createChannel());
      await channel.open();
      await channel.close();
      return new WeakRef(channel);
    };
    const closed = await open();
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    await eventually(() => {
      collect();
      return closed.deref() === undefined;
    });
  });

  it('opens one channel, however often it is opened', async () => {
    let created = 0;
    const channel = new RecoveringChannel(connection, (model) => (created++, model.createChannel()));
    await Promise.all([channel.open(), channel.open()]);
    await channel.open();
    expect(created).toBe(1);
    await broker.cutConnections();
    await eventually(() => created === 2 && channel.current);
    await sleep(300);
    expect(created).toBe(2);
  });

  it('logs why a channel cannot be opened once, however often it is tried', async () => {
    let attempts = 0;
    const channel = new RecoveringChannel(
      connection,
      (model) => model.createChannel(),
      async () => {
        attempts += 1;
        if (attempts > 1) throw new Error('there is no such queue');
      },
    );
    await channel.open();
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => {});
    await broker.cutConnections();
    await eventually(() => attempts === 5);
    const lines = warn.mock.calls.filter(([line]) => String(line).includes('there is no such queue'));
    expect(lines).toHaveLength(1);
    warn.mockRestore();
    await channel.close();
  });

  it('keeps the subscriptions of a listener if one of its exchanges is missing', async () => {
    const model = connection.model!;
    const channel = await model.createChannel();
    await channel.assertExchange('events.shop', 'topic');
    const received: string[] = [];
    let opened = 0;
    const listener = new Listener(
      connection,
      ({ pattern }) => received.push(pattern),
      () => opened++,
      () => true,
    );
    await listener.open('shop.sold');
    await listener.subscribe(['missing.event', 'shop.opened']);
    for (const pattern of ['shop.sold', 'shop.opened'])
      channel.publish('events.shop', pattern, Buffer.from(JSON.stringify({ pattern, data: {} })));
    await eventually(() => received.length === 2);
    expect(received).toEqual(['shop.sold', 'shop.opened']);
    // Once it exists, another call subscribes to it.
    await channel.assertExchange('events.missing', 'topic');
    await listener.subscribe(['missing.event']);
    channel.publish('events.missing', 'missing.event', Buffer.from('{"pattern":"missing.event"}'));
    await eventually(() => received.includes('missing.event'));
    expect(opened).toBe(1);
    // After a reconnect too, and without a repeated log line.
    await channel.deleteExchange('events.missing');
    const error = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => {});
    await broker.cutConnections();
    await eventually(() => opened === 2);
    await listener.subscribe(['missing.event']);
    await listener.subscribe(['missing.event']);
    const publisher = await (await eventually(() => connection.model)).createChannel();
    publisher.publish('events.shop', 'shop.sold', Buffer.from('{"pattern":"shop.sold"}'));
    await eventually(() => received.filter((pattern) => pattern === 'shop.sold').length === 2);
    expect(error.mock.calls.map(([line]) => line)).toEqual([
      expect.stringContaining('cannot subscribe to missing.event'),
    ]);
    error.mockRestore();
    await listener.close();
  });
});

describe('a listener', () => {
  let broker: PrivateBroker;
  beforeAll(async () => void (broker = await createPrivateBroker()));
  afterAll(() => broker.drop());

  it('drops a message whose pattern is not an event name that it subscribes to', async () => {
    const connection = await new BrokerConnection().open(broker.url, 'test');
    const channel = await connection.model!.createChannel();
    for (const name of ['events.shop', 'events.bank']) await channel.assertExchange(name, 'topic');
    const received: string[] = [];
    const listener = new Listener(connection, ({ pattern }) => received.push(pattern));
    await listener.open('shop.sold', 'bank.#');
    const send = (pattern: string) =>
      channel.publish('events.shop', 'shop.sold', Buffer.from(JSON.stringify({ pattern, data: {} })));
    for (const pattern of ['shop.bought', 'shop.sold.twice', 'shopxsold', 'bank.a.b', 'bank', 'shop.sold'])
      send(pattern);
    await eventually(() => received.includes('shop.sold'));
    expect(received).toEqual(['bank.a.b', 'shop.sold']);
    await listener.close();
    await connection.close();
  });
});

describe('a publication', () => {
  let broker: PrivateBroker;
  let proxy: Server;
  let delayMs = 0;
  const sockets = new Set<Socket>();
  beforeEach(async () => {
    broker = await createPrivateBroker();
    const { hostname, port } = new URL(broker.url);
    // Delays what the broker sends.
    proxy = createServer((client) => {
      const upstream = connect(Number(port || 5_672), hostname);
      for (const socket of [client, upstream]) sockets.add(socket.on('error', () => {}));
      client.pipe(upstream);
      upstream.on('data', (data) => setTimeout(() => client.write(data), delayMs));
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  });
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
    await broker.drop();
  });

  it('takes at most five seconds with everything that it waits for', async () => {
    const url = new URL(broker.url);
    url.host = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const connection = await new BrokerConnection().open(url.href, 'slow');
    const publisher = new Publisher(connection);
    await publisher.open();
    delayMs = 3_000;
    const startedAt = performance.now();
    // It waits for the declaration of the exchange and for the confirm, three seconds each.
    const published = publisher.publish({
      ...{ exchange: 'events.slow', routingKey: 'slow.event', content: Buffer.from('{}') },
      options: { messageId: '1' },
    });
    await expect(published).rejects.toMatchObject({ name: 'BrokerUnavailable' });
    expect(performance.now() - startedAt).toBeLessThan(5_800);
    await connection.close();
  });
});
