import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { service } from '@jogakbo/contract';
import { type BrokerConnection, type HandledMessage, type Publisher, RabbitClient } from '@jogakbo/messaging';
import { createPrivateBroker, eventually, type PrivateBroker } from '@jogakbo/testing';
import type { Channel } from 'amqplib';
import { z } from 'zod';
import { openConnection, serve, type ServerUnderTest } from './brokers.ts';

/** Queries of this service are sent one by one. */
const shop = service('shop', '', { batches: false });
const Look = shop.query('look', { input: z.strictObject({ at: z.int() }), output: z.unknown() });
const Find = shop.query('find', {
  input: z.strictObject({}),
  output: z.object({ id: z.string() }).nullable(),
});
const Take = shop.command('take', { input: z.strictObject({}) });
const barn = service('barn');
const Peek = barn.query('peek', { input: z.strictObject({ at: z.int() }), output: z.unknown() });

describe('RabbitServer', () => {
  let broker: PrivateBroker;
  let connection: BrokerConnection;
  let publisher: Publisher;
  let client: RabbitClient;
  let under: ServerUnderTest | undefined;
  const handled: HandledMessage[] = [];

  beforeEach(async () => {
    handled.length = 0;
    broker = await createPrivateBroker();
    ({ connection, publisher } = await openConnection(broker.url));
    client = new RabbitClient(connection, publisher, 'test');
    await client.connect();
  });
  afterEach(async () => {
    await under?.server.close(200);
    await client.close();
    await connection.close();
    await broker.drop();
  });

  const start = async (name: string, handlers: Parameters<typeof serve>[1], more: object = {}) =>
    (under = await serve(
      {
        ...{ service: name, connection, publisher },
        observe: (one: HandledMessage) => void handled.push(one),
        ...more,
      },
      handlers,
    ));
  const listOutcomes = () => [...new Set(handled.map(({ outcome }) => outcome))];

  it('handles as many queries as the raised limit permits', async () => {
    let limit = 1;
    let active = 0;
    let most = 0;
    const look = async () => {
      most = Math.max(most, ++active);
      await sleep(300);
      active--;
      return 1;
    };
    await start('shop', [[Look, look]], { concurrency: () => limit });
    await client.ask(Look, { at: 0 });
    limit = 20;
    await client.ask(Look, { at: 0 });
    const asked = Array.from({ length: 20 }, (_, at) => client.ask(Look, { at }));
    await Promise.all(asked);
    expect(most).toBe(20);
    expect(under!.server.ready).toBe(true);
  });

  it('leaves no old consumer attached if the broker does not confirm its end', async () => {
    let limit = 1;
    await start('shop', [[Look, async () => 1]], { concurrency: () => limit });
    const channel = await connection.model!.createChannel();
    const countConsumers = async () => (await channel.checkQueue('shop.queries')).consumerCount;
    const prototype = Object.getPrototypeOf(channel) as Channel;
    const cancel = jest.spyOn(prototype, 'cancel').mockImplementation(() => new Promise(() => {}));
    limit = 20;
    await client.ask(Look, { at: 0 });
    await eventually(async () => (await countConsumers()) === 2);
    cancel.mockRestore();
    await eventually(async () => (await countConsumers()) === 1, 10_000);
    await expect(client.ask(Look, { at: 0 })).resolves.toBe(1);
    await channel.close();
  });

  it('fails only the query whose input JSON cannot represent', async () => {
    await start('barn', [[Peek, async () => 'fine']]);
    const inputs = [0, 1n, 2].map((at) => client.request(Peek.name, { at }));
    const answers = await Promise.allSettled(inputs);
    expect(answers.map((one) => one.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(answers[1]).toMatchObject({ reason: expect.any(TypeError) });
  });

  it('fails only the query whose output JSON cannot represent', async () => {
    await start('barn', [[Peek, async (data) => ((data as { at: number }).at === 1 ? { n: 1n } : 'fine')]]);
    const answers = await Promise.allSettled([0, 1, 2].map((at) => client.ask(Peek, { at })));
    expect(answers.map((one) => one.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(answers[1]).toMatchObject({ reason: { code: 'internal' } });
  });

  it('answers only the unreadable query of a batch with an error', async () => {
    await start('barn', [[Peek, async () => 'fine']]);
    let deep: unknown = 'x'.repeat(1_000);
    for (let level = 0; level < 70; level++) deep = [deep];
    const answers = await Promise.allSettled(
      [{ at: 0 }, { at: deep }, { at: 2 }].map((data) => client.request(Peek.name, data, { timeout: 2_000 })),
    );
    expect(answers.map((one) => one.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(answers[1]).toMatchObject({ reason: { code: 'unreadable' } });
  });

  it('requeues only the query of a batch that a newer version may handle', async () => {
    let peeked = 0;
    await start('barn', [[Peek, async () => ++peeked]]);
    const channel = await connection.model!.createChannel();
    await channel.bindQueue('barn.queries', 'requests.barn', 'barn.newer');
    const headers = { deadline: Date.now() + 3_000 };
    const items = ['barn.newer', Peek.name].map((pattern, at) => ({
      ...{ pattern, data: { at }, id: `${at}`, headers },
    }));
    channel.publish('requests.barn', Peek.name, Buffer.from(JSON.stringify(items)), {
      ...{ replyTo: 'reply.x.1', contentType: 'application/vnd.jogakbo.batch+json' },
    });
    await eventually(() => handled.filter(({ outcome }) => outcome === 'requeued').length >= 3, 5_000);
    expect(peeked).toBe(1);
    await channel.close();
  });

  it('completes all queries of a batch, also if one of them cannot be handled', async () => {
    // A forger may batch different contracts; a correct client does not.
    const states: string[] = [];
    const peek = async () => {
      states.push('started');
      await sleep(600);
      states.push('ended');
    };
    await start('barn', [[Peek, peek]]);
    const channel = await connection.model!.createChannel();
    const headers = { deadline: Date.now() + 5_000 };
    const items = ['barn.unknown', Peek.name].map((pattern, at) => ({
      ...{ pattern, data: { at }, id: `${at}`, headers },
    }));
    channel.publish('requests.barn', Peek.name, Buffer.from(JSON.stringify(items)), {
      ...{ replyTo: 'reply.x.1', contentType: 'application/vnd.jogakbo.batch+json' },
    });
    await eventually(() => states.length > 0);
    await under!.server.close();
    expect(states).toEqual(['started', 'ended']);
    await channel.close();
  });

  it('reports what became of a request that it did not handle, and logs no error', async () => {
    await start('shop', [[Look, async () => 1]]);
    const request = (name: string, timeout: number) =>
      client.request(name, { at: 1 }, { timeout }).catch((error: { code: string }) => error.code);
    expect(await request('shop.look', 5_000)).toBe(1);
    const channel = await connection.model!.createChannel();
    await channel.bindQueue('shop.queries', 'requests.shop', 'shop.newer');
    // A newer version may handle it: it is requeued until its deadline.
    expect(await request('shop.newer', 1_400)).toBe('timeout');
    expect(listOutcomes()).toEqual(['ok', 'requeued']);
    expect(under!.log.filter(({ level }) => level !== 'debug')).toEqual([]);
    await channel.close();
  });

  it('reports a command as expired if it was not executed after its deadline', async () => {
    let taken = 0;
    await start('shop', [[Take, async () => void taken++]]);
    await under!.server.close();
    await expect(client.ask(Take, {}, { timeout: 100 })).rejects.toMatchObject({ code: 'timeout' });
    await start('shop', [[Take, async () => void taken++]]);
    await eventually(() => handled.length > 0);
    expect(listOutcomes()).toEqual(['expired']);
    expect(taken).toBe(0);
  });

  it('answers null where the output of the contract may be null', async () => {
    await start('shop', [[Find, async () => null]]);
    await expect(client.ask(Find, {})).resolves.toBeNull();
  });

  it('is unavailable at once only if it never ran; after it has stopped, its callers wait', async () => {
    await expect(client.ask(Look, { at: 0 })).rejects.toMatchObject({ code: 'unavailable' });
    await start('shop', [[Look, async () => 1]]);
    await under!.server.close();
    await expect(client.ask(Look, { at: 0 }, { timeout: 300 })).rejects.toMatchObject({ code: 'timeout' });
  });

  it('runs every handler of an event, and permits only one handler of a request', async () => {
    const Stored = service('mill').event('stored', z.object({}));
    const runs: string[] = [];
    under = await serve({ service: 'barn', connection, publisher }, [], (server) => {
      for (const name of ['first', 'second'])
        server.addHandler(Stored.name, async () => runs.push(name) && undefined, false, { contract: Stored });
    });
    const channel = await connection.model!.createChannel();
    channel.publish(
      'events.mill',
      Stored.name,
      Buffer.from(JSON.stringify({ pattern: Stored.name, data: {} })),
    );
    await eventually(() => runs.length === 2);
    expect(runs).toEqual(['first', 'second']);
    const twice: Parameters<typeof serve>[1] = [1, 2].map(() => [Take, async () => undefined]);
    await expect(serve({ service: 'shop', connection, publisher }, twice)).rejects.toThrow(
      'shop.take has more than one handler',
    );
  });

  it('forwards no request of another service to the versions of that service', async () => {
    const Stow = barn.command('stow', { input: z.strictObject({}) });
    const split = { version: '1', shares: () => ({ '2': 50 }), aliveSince: () => [] };
    await start('barn', [[Stow, async () => undefined]], { split, retryDelays: [] });
    const channel = await connection.model!.createConfirmChannel();
    await channel.assertExchange('requests.mill', 'topic');
    await channel.assertQueue('mill', { exclusive: true });
    for (const exchange of ['requests.mill', 'requests.barn'])
      await channel.bindQueue('mill', exchange, 'mill.#');
    channel.publish(
      'requests.barn',
      Stow.name,
      Buffer.from(JSON.stringify({ pattern: 'mill.grind', data: {} })),
    );
    await eventually(() => handled.length === 1);
    expect(listOutcomes()).toEqual(['fault']);
    expect(await channel.checkQueue('mill')).toMatchObject({ messageCount: 0 });
    expect(await channel.get('barn.dead', { noAck: true })).not.toBe(false);
  });

  it('loses no answer while the channel for answers is opened again', async () => {
    await start('barn', [[Peek, async () => 'fine']]);
    const channel = await connection.model!.createChannel();
    const unanswerable = { replyTo: 'reply.gone.1', userId: connection.login };
    const body = Buffer.from(JSON.stringify({ pattern: Peek.name, data: { at: 0 }, id: 'x' }));
    for (let round = 0; round < 3; round++) {
      channel.publish('requests.barn', Peek.name, body, unanswerable);
      await sleep(40);
      await expect(client.ask(Peek, { at: 0 }, { timeout: 2_000 })).resolves.toBe('fine');
    }
  });

  // It only waits.
  if (process.env['TEST_FULL'])
    it('returns a command to its queue until its deadline, however often', async () => {
      await start('shop', [[Take, async () => undefined]]);
      const channel = await connection.model!.createConfirmChannel();
      await channel.bindQueue('shop.commands', 'requests.shop', 'shop.newer');
      const headers = { deadline: Date.now() + 60_000 };
      const body = Buffer.from(JSON.stringify({ pattern: 'shop.newer', data: {}, id: 'x' }));
      channel.publish('requests.shop', 'shop.newer', body, { replyTo: 'reply.x.1', headers });
      // A quorum queue dead-letters a message after 20 returns.
      await sleep(24_000);
      expect(await channel.checkQueue('shop.dead')).toMatchObject({ messageCount: 0 });
      expect(listOutcomes()).toEqual(['requeued']);
    }, 40_000);
});
