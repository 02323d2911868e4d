import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { service } from '@jogakbo/contract';
import { BrokerConnection, currentCall, exchanges, noSpans, queues, type Spans } from '@jogakbo/messaging';
import { eventually } from '@jogakbo/testing';
import { testConformance } from '@jogakbo/testing/conformance';
import { retryDelays, RabbitHarness } from './rabbit-harness.ts';
import { z } from 'zod';

testConformance('the RabbitMQ transport', () => RabbitHarness.open());

const shop = service('shop');
const Look = shop.query('look', {
  input: z.strictObject({ thing: z.string() }),
  output: z.object({ seen: z.int() }),
});
const Repair = shop.command('repair', { input: z.strictObject({ thing: z.string() }), subject: 'thing' });

describe('the RabbitMQ transport', () => {
  let harness: RabbitHarness;
  beforeEach(async () => {
    harness = await RabbitHarness.open();
  });
  afterEach(() => harness.close());

  it('rejects invalid input before the handler runs, and invalid answers before they are sent', async () => {
    let handled = 0;
    await harness.serve([[Look, () => ({ seen: `${++handled}` })]]);
    await expect(harness.ask(Look, { thing: 'a', colour: 'red' } as never)).rejects.toMatchObject({
      code: 'invalid',
      errors: [{ path: 'colour', message: 'unknown field' }],
    });
    expect(handled).toBe(0);
    await expect(harness.ask(Look, { thing: 'a' })).rejects.toMatchObject({ code: 'internal' });
  });

  it('adds the queue, time and cause of the failure to a dead letter', async () => {
    await harness.serve([[Repair, () => Promise.reject(new Error('beyond repair'))]]);
    await harness.send(Repair, { thing: 'broken' });
    const [letter] = await eventually(async () => {
      const letters = await harness.takeRawDeadLetters();
      return letters.length > 0 && letters;
    });
    const headers = letter!.properties.headers!;
    expect(headers).toMatchObject({ queue: 'shop.commands', traceparent: expect.stringMatching(/^00-/) });
    expect(headers['stack']).toContain('transport.int.spec');
    expect(Date.parse(String(headers['last-failed-at']))).toBeGreaterThan(
      Date.parse(String(headers['first-failed-at'])),
    );
  });

  it('dead-letters messages that are not UTF-8', async () => {
    const handled: unknown[] = [];
    await harness.serve([[Repair, (data: unknown) => void handled.push(data)]]);
    // `한` in EUC-KR.
    const [before, after] = [`{"pattern":"${Repair.name}","data":{"thing":"`, '"}}'];
    await harness.poison(
      Repair,
      Buffer.concat([Buffer.from(before), Buffer.from([0xc7, 0xd1]), Buffer.from(after)]),
    );
    const [letter] = await eventually(async () => {
      const letters = await harness.takeDeadLetters();
      return letters.length > 0 && letters;
    });
    expect(letter!.cause).toContain('not valid UTF-8');
    expect(handled).toEqual([]);
  });

  it('keeps traceparent and tracestate in every attempt and in the dead letter', async () => {
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    const states: unknown[] = [];
    await harness.serve([
      [
        Repair,
        () => {
          states.push(currentCall()?.tracestate);
          throw new Error('beyond repair');
        },
      ],
    ]);
    const trace = { traceparent: `00-${traceId}-00f067aa0ba902b7-02`, tracestate: 'rojo=1,congo=2' };
    await harness.send(Repair, { thing: 'traced' }, undefined, { ...trace, language: 'nl' });
    const [letter] = await eventually(async () => {
      const letters = await harness.takeRawDeadLetters();
      return letters.length > 0 && letters;
    });
    expect(states).toEqual(Array(retryDelays.length + 1).fill('rojo=1,congo=2'));
    const headers = letter!.properties.headers!;
    expect(headers['tracestate']).toBe('rojo=1,congo=2');
    // The flags of the first sender: not sampled, random trace id.
    expect(headers['traceparent']).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-02$`));
  });

  it('records a span for every attempt, a child of the sender, and passes that on', async () => {
    const ended: {
      parent: string | undefined;
      own: string;
      outcome: unknown;
      errorType: string | undefined;
    }[] = [];
    const current: (string | undefined)[] = [];
    const spans: Spans = {
      start(what, parent) {
        const { trace } = noSpans.start(what, parent);
        expect(what).toMatchObject({ name: `process ${Repair.name}`, kind: 'consumer' });
        return {
          trace,
          rename: () => undefined,
          end: (errorType, { 'jogakbo.message.outcome': outcome } = {}) =>
            void ended.push({ parent: parent?.traceparent, own: trace.traceparent, outcome, errorType }),
        };
      },
    };
    const repair = () => {
      current.push(currentCall()?.traceparent);
      if (current.length === 1) throw new TypeError('no tools');
    };
    await harness.serve([[Repair, repair]], 64, retryDelays, spans);
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    await harness.send(Repair, { thing: 'traced' }, undefined, { traceparent, language: 'nl' });
    await eventually(() => ended.length === 2);
    const [sent] = ended.map(({ parent }) => parent);
    expect(sent).toMatch(/^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-01$/);
    expect(ended).toMatchObject([
      { parent: sent, outcome: 'fault', errorType: 'TypeError' },
      { parent: sent, outcome: 'ok', errorType: undefined },
    ]);
    expect(current).toEqual(ended.map(({ own }) => own));
  });

  it('reconnects after an operator closed its connection', async () => {
    const server = await harness.serve([[Look, () => ({ seen: 1 })]]);
    const wentDown = eventually(() => !server.ready || !harness.isConnected(), 20_000);
    expect(await harness.broker.cutConnections()).toBeGreaterThan(0);
    await wentDown;
    await eventually(() => server.ready && harness.isConnected(), 10_000);
    await expect(eventually(() => harness.ask(Look, { thing: 'b' }))).resolves.toEqual({ seen: 1 });
  });

  it('recreates a deleted queue within 5 s, and is not ready meanwhile', async () => {
    const seen: string[] = [];
    const server = await harness.serve([
      [Repair, ({ thing }: { thing: string }) => seen.push(thing) && undefined],
    ]);
    const channel = await harness.callerConnection.model!.createChannel();
    const deletedAt = performance.now();
    const wentDown = eventually(() => !server.ready, 2_000);
    await channel.deleteQueue(queues.commands('shop'));
    await channel.close();
    await wentDown;
    await eventually(() => server.ready, 5_000);
    expect(performance.now() - deletedAt).toBeLessThan(5_000);
    await harness.send(Repair, { thing: 'a' });
    await eventually(() => seen.length === 1);
  });

  it('is not ready while the broker rejects its consumer, and recovers within 5 s', async () => {
    const server = await harness.serve([[Repair, () => undefined]]);
    const other = await new BrokerConnection().open(harness.broker.url, 'other');
    const channel = await other.model!.createChannel();
    const wentDown = eventually(() => !server.ready, 2_000);
    await channel.deleteQueue(queues.commands('shop'));
    // Another connection has an exclusive queue of this name with other arguments: every declaration fails.
    await channel.assertQueue(queues.commands('shop'), { exclusive: true, durable: false });
    await wentDown;
    await sleep(2_500);
    expect(server.ready).toBe(false);
    const leftAt = performance.now();
    await other.close();
    await eventually(() => server.ready, 5_000);
    expect(performance.now() - leftAt).toBeLessThan(5_000);
    await harness.send(Repair, { thing: 'a' });
  });

  describe('while a new version is rolled out', () => {
    const Polish = shop.command('polish', {
      input: z.strictObject({ thing: z.string() }),
      output: z.object({ shines: z.boolean() }),
    });

    it.each([
      ['a request', () => harness.ask(Polish, { thing: 'a' })],
      ['a command', () => harness.send(Polish, { thing: 'a' })],
    ])('%s that the old version does not know waits for the new version', async (_, begin) => {
      // Long enough for the new version to start on a busy machine.
      await harness.serve([[Repair, () => undefined]], 64, [...retryDelays, 500, 1_000, 2_000]);
      const channel = await harness.callerConnection.model!.createChannel();
      await channel.bindQueue(queues.commands('shop'), exchanges.requests('shop'), Polish.name);
      const begun = begin();
      await sleep(50);
      const polished: string[] = [];
      await harness.serve([
        [Polish, ({ thing }: { thing: string }) => ({ shines: polished.push(thing) > 0 })],
      ]);
      await begun;
      await eventually(() => polished.length === 1, 10_000);
      expect(await harness.takeRawDeadLetters()).toEqual([]);
    });
  });

  it('a query without a waiting caller is not retried', async () => {
    let asked = 0;
    await harness.serve([[Look, () => Promise.reject(new Error(`broken ${++asked}`))]]);
    await harness.send(Look, { thing: 'a' });
    await sleep(500);
    expect(asked).toBe(1);
    expect(await harness.takeRawDeadLetters()).toEqual([]);
  });

  it.each([
    ['queue shop.dead', 'x-delivery-limit', () => [queues.dead('shop'), { 'x-queue-type': 'quorum' }]],
    [
      'queue shop.commands',
      'inequivalent arg',
      () => [queues.commands('shop'), { 'x-queue-type': 'classic' }],
    ],
    ['exchange requests.shop', 'type', () => undefined],
  ] as [string, string, () => [string, object] | undefined][])(
    'explains at start-up that the %s has other arguments',
    async (what, difference, made) => {
      const channel = await harness.callerConnection.model!.createChannel();
      const queue = made();
      if (queue) await channel.assertQueue(queue[0], { durable: true, arguments: queue[1] });
      else {
        await channel.deleteExchange(exchanges.requests('shop'));
        await channel.assertExchange(exchanges.requests('shop'), 'fanout');
      }
      await channel.close();
      const fault = await harness.serve([[Repair, () => undefined]]).catch((error: Error) => error);
      expect(fault).toMatchObject({ name: 'TopologyMismatch', message: expect.stringContaining(what) });
      expect((fault as Error).message).toContain(difference);
      expect((fault as Error).message).toContain('What to do');
    },
  );
});
