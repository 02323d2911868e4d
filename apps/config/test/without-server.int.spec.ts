import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { BrokerConnection, exchanges, queues } from '@jogakbo/messaging';
import { PlatformSettings, ServiceSettings } from '@jogakbo/service';
import { eventually, createPrivateBroker, type PrivateBroker } from '@jogakbo/testing';
import { set, startServer } from './server.ts';
import { createToys, liveTimeoutMs } from './toys.ts';

const toys = createToys();

describe('without the config server', () => {
  let broker: PrivateBroker;
  beforeAll(async () => {
    broker = await createPrivateBroker();
  });
  afterAll(() => broker.drop());

  /** Declares the queue of a config server: without a consumer, or with one that never replies. */
  async function declareQueue(consumed: boolean): Promise<BrokerConnection> {
    const connection = await new BrokerConnection().open(broker.url, 'left');
    const channel = await connection.model!.createChannel();
    const queue = queues.queries('config');
    const exchange = exchanges.requests('config');
    await channel.assertExchange(exchange, 'topic');
    await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'classic' } });
    await channel.bindQueue(queue, exchange, 'config.read-settings');
    if (consumed) await channel.consume(queue, () => {});
    return connection;
  }

  async function measureOpen(): Promise<number> {
    const began = performance.now();
    const environment = { RABBITMQ_URL: broker.url, CONFIG_PASSWORD: 'the-password-of-toys' };
    await ServiceSettings.open('toys', [PlatformSettings], environment);
    return performance.now() - began;
  }

  it('a service starts with defaults and no delay, also without a password', async () => {
    const { settings } = await toys.start({ broker });
    expect(settings).toMatchObject({ limit: 10, colour: 'red' });
    expect(existsSync(join(toys.cache, 'toys.json'))).toBe(false);
    const alone = await toys.start({ broker }, { CONFIG_PASSWORD: '' });
    expect(alone.settings.limit).toBe(10);
  });

  it('a start does not wait without a consumer, and waits at most a second without a reply', async () => {
    const withoutConsumer = await declareQueue(false);
    expect(await measureOpen()).toBeLessThan(700);
    await withoutConsumer.close();
    const hanging = await declareQueue(true);
    const took = await measureOpen();
    await hanging.close();
    expect(took).toBeGreaterThan(800);
    expect(took).toBeLessThan(1_500);
  });

  it('a service starts with cached settings and secrets, and ignores invalid cache files', async () => {
    const server = await startServer();
    let isStopped = false;
    try {
      await set(server, 'toys', { limit: '80', colour: 'blue' });
      await set(server, 'toys', { token: 'the-secret' }, { secret: true });
      const first = await toys.start(server);
      expect(first.settings).toMatchObject({ limit: 80, colour: 'blue', token: 'the-secret' });
      await server.stop();
      isStopped = true;
      const later = await toys.start({ broker });
      expect(later.settings).toMatchObject({ limit: 80, colour: 'blue', token: 'the-secret' });
      for (const file of readdirSync(toys.cache)) writeFileSync(join(toys.cache, file), '{ broken');
      expect((await toys.start({ broker })).settings.limit).toBe(10);
    } finally {
      if (!isStopped) await server.stop();
    }
  });

  it('an invalid environment variable prevents the start', async () => {
    await expect(toys.start({ broker }, { LIMIT: 'many', COLOUR: 'green' })).rejects.toMatchObject({
      wrong: [
        { key: 'LIMIT', origin: 'environment' },
        { key: 'COLOUR', origin: 'environment' },
      ],
    });
  });

  it('a running service keeps its settings while it restarts, and follows changes afterwards', async () => {
    const server = await startServer();
    try {
      const { settings } = await toys.start(server);
      await set(server, 'toys', { limit: '90' });
      await eventually(() => settings.limit === 90, liveTimeoutMs);
      const { url } = toys.running.at(-1)!;
      const restarted = server.restart();
      expect((await fetch(`${url}/health/ready`)).status).toBe(200);
      expect(settings.limit).toBe(90);
      await restarted;
      await set(server, 'toys', { limit: '91' });
      await eventually(() => settings.limit === 91, liveTimeoutMs);
    } finally {
      await server.stop();
    }
  });
});
