import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Rejection,
  service,
  type AnyContract,
  type AnyRequest,
  type Input,
  type Reply,
} from '@jogakbo/contract';
import { z } from 'zod';
import { eventually } from './eventually.ts';

export type Handlers = [AnyContract, (data: never) => unknown][];

/** A message that was given up. */
export interface GivenUp {
  /** How often it was tried, the first time included. */
  failures: number;
  cause: string;
  body: string;
}

/** One transport, on something real and used by nobody else, as the conformance suite meets it. */
export interface Harness {
  /** How often a message that fails is tried again before it is given up. */
  retries: number;
  /** Serves the service `shop`: at most `prefetch` messages of a kind at a time. */
  serve(handlers: Handlers, prefetch?: number): Promise<ServedService>;
  /** Asks from a connection of its own. */
  ask<C extends AnyRequest>(contract: C, input: Input<C>, options?: { timeout?: number }): Promise<Reply<C>>;
  /** Sends a command that nobody waits for. Resolves when the transport answers for it. */
  send(contract: AnyRequest, data: unknown): Promise<void>;
  /** Announces an event. Resolves when the transport answers for it. */
  announce(contract: AnyContract, data: unknown): Promise<void>;
  /** Puts bytes where an event of this contract would arrive. */
  poison(contract: AnyContract, body: string): Promise<void>;
  /** All that was given up since the last call. */
  givenUp(): Promise<GivenUp[]>;
  /** Cuts every connection, as a failing network would. They may come back. */
  cut(): Promise<void>;
  /** True while `ask` can reach the transport. */
  connected(): boolean;
  /** Ends all, the served services too. */
  close(): Promise<void>;
}

export interface ServedService {
  readonly ready: boolean;
  close(): Promise<void>;
}

const shop = service('shop');
const yard = service('yard');
const Look = shop.query('look', { input: z.strictObject({}), output: z.object({ seen: z.int() }) });
const Take = shop.command('take', {
  input: z.strictObject({ thing: z.string(), count: z.int().default(1) }),
  output: z.object({ taken: z.int() }),
  rejections: { 'none-left': 409 },
  subject: 'thing',
});
const Mend = shop.command('mend', {
  input: z.strictObject({ thing: z.string(), turn: z.int().optional() }),
  subject: 'thing',
});
const Delivered = yard.event('delivered', z.object({ thing: z.string(), turn: z.int() }), {
  subject: 'thing',
});

/**
 * Defines the jest tests that every transport of this shape must pass.
 * @param name of the transport
 * @param open makes a fresh harness for each test
 */
export function conformance(name: string, open: () => Promise<Harness>): void {
  describe(`${name} conforms:`, () => {
    let harness: Harness;
    beforeEach(async () => {
      harness = await open();
    });
    afterEach(() => harness.close());

    it('a question gets its answer, a "no" keeps its code, a fault shows nothing of the inside', async () => {
      await harness.serve([
        [Look, () => Promise.reject(new Error('password of the database is 1234'))],
        [
          Take,
          ({ thing, count }: { thing: string; count: number }) => {
            if (thing === 'gone') throw Take.reject('none-left', 'sold out');
            return { taken: count };
          },
        ],
      ]);
      await expect(harness.ask(Take, { thing: 'a' })).resolves.toEqual({ taken: 1 });
      const no = await harness.ask(Take, { thing: 'gone' }).catch((error: unknown) => error);
      expect(no).toBeInstanceOf(Rejection);
      expect(no).toMatchObject({ code: 'none-left', status: 409, message: 'sold out' });
      const fault = { code: 'internal', message: 'the service failed' };
      await expect(harness.ask(Look, {})).rejects.toMatchObject(fault);
    });

    it('a message is acknowledged after its handler, never before: one cut short comes again', async () => {
      const begun: string[] = [];
      let mayEnd = false;
      await harness.serve([
        [
          Mend,
          async ({ thing }: { thing: string }) => {
            begun.push(thing);
            await eventually(() => mayEnd);
          },
        ],
      ]);
      await harness.send(Mend, { thing: 'a' });
      await eventually(() => begun.length === 1);
      await harness.cut();
      mayEnd = true;
      await eventually(() => begun.length === 2);
      await sleep(300);
      expect(begun).toEqual(['a', 'a']);
      expect(await harness.givenUp()).toEqual([]);
    });

    it('a message that fails is tried again exactly so often, then given up with its cause', async () => {
      let attempts = 0;
      await harness.serve([
        [
          Mend,
          () => {
            attempts++;
            throw new Error('beyond repair');
          },
        ],
      ]);
      await harness.send(Mend, { thing: 'broken' });
      const [letter] = await eventually(async () => {
        const letters = await harness.givenUp();
        return letters.length > 0 && letters;
      });
      await sleep(300);
      expect(attempts).toBe(harness.retries + 1);
      expect(letter).toMatchObject({ failures: harness.retries + 1, cause: 'Error: beyond repair' });
      expect(letter!.body).toContain('"broken"');
      expect(await harness.givenUp()).toEqual([]);
    });

    it('what no attempt can mend is given up at once', async () => {
      let handled = 0;
      const handlers: Handlers = [
        [
          Mend,
          () => {
            handled++;
            throw new Rejection('never', 409);
          },
        ],
        [Delivered, () => handled++],
      ];
      await harness.serve(handlers);
      await harness.send(Mend, { thing: 'refused' });
      await harness.send(Mend, { unknown: true });
      await harness.poison(Delivered, '{ not json');
      await harness.poison(Delivered, '{"data":{}}');
      const letters: GivenUp[] = [];
      await eventually(async () => {
        letters.push(...(await harness.givenUp()));
        return letters.length >= 4;
      });
      expect(letters.map(({ failures }) => failures)).toEqual([1, 1, 1, 1]);
      expect(handled).toBe(1);
    });

    it('50 poison messages never stop 1,000 good ones', async () => {
      const seen = new Set<string>();
      await harness.serve(
        [
          [
            Delivered,
            ({ thing }: { thing: string }) => {
              if (thing.startsWith('bad')) throw new Error('not this one');
              seen.add(thing);
            },
          ],
        ],
        4,
      );
      const began = performance.now();
      const sent: Promise<void>[] = [];
      for (let i = 0; i < 1_000; i++) {
        // More of each kind than are worked on at a time.
        if (i % 40 === 0) sent.push(harness.poison(Delivered, `${i} is not json`));
        if (i % 40 === 20) sent.push(harness.announce(Delivered, { thing: `bad ${i}`, turn: i }));
        sent.push(harness.announce(Delivered, { thing: `good ${i}`, turn: i }));
      }
      await Promise.all(sent);
      await eventually(() => seen.size === 1_000);
      expect(performance.now() - began).toBeLessThan(10_000);
      const letters: GivenUp[] = [];
      await eventually(async () => {
        letters.push(...(await harness.givenUp()));
        return letters.length >= 50;
      });
      expect(letters).toHaveLength(50);
    });

    it('a request that nobody takes is a fault at once', async () => {
      const asked = performance.now();
      await expect(harness.ask(Look, {})).rejects.toMatchObject({ code: 'unavailable' });
      expect(performance.now() - asked).toBeLessThan(1_000);
    });

    it('of 50 requests whose deadline passed none is run', async () => {
      let ran = 0;
      const handlers: Handlers = [
        [Take, () => ({ taken: ++ran })],
        [Look, () => ({ seen: ++ran })],
      ];
      const away = await harness.serve(handlers);
      await away.close();
      const late = Array.from({ length: 25 }, (_, i) => [
        harness.ask(Take, { thing: `${i}` }, { timeout: 150 }),
        harness.ask(Look, {}, { timeout: 150 }),
      ]).flat();
      const outcomes = await Promise.allSettled(late);
      expect(outcomes.every((one) => one.status === 'rejected' && one.reason.code === 'timeout')).toBe(true);
      await harness.serve(handlers);
      await expect(harness.ask(Take, { thing: 'x' })).resolves.toEqual({ taken: 1 });
      await expect(harness.ask(Look, {})).resolves.toEqual({ seen: 2 });
      await sleep(100);
      expect(ran).toBe(2);
      // Nobody waits for them any more: there is nothing for an operator to decide.
      expect(await harness.givenUp()).toEqual([]);
    });

    it('nor where the deadline passed while it waited for its turn', async () => {
      const ran: number[] = [];
      await harness.serve([
        [
          Take,
          async ({ count }: { count: number }) => {
            ran.push(count);
            await sleep(300);
            return { taken: 1 };
          },
        ],
      ]);
      const first = harness.ask(Take, { thing: 'a', count: 1 });
      await eventually(() => ran.length === 1);
      const second = harness.ask(Take, { thing: 'a', count: 2 }, { timeout: 100 });
      await expect(second).rejects.toMatchObject({ code: 'timeout' });
      await first;
      await sleep(150);
      expect(ran).toEqual([1]);
    });

    it('no request stays pending when the connection goes, and all comes back by itself', async () => {
      let free = false;
      const server = await harness.serve([
        [
          Look,
          async () => {
            await eventually(() => free);
            return { seen: 1 };
          },
        ],
      ]);
      const pending = Array.from({ length: 20 }, () => harness.ask(Look, {}, { timeout: 60_000 }));
      const ended = Promise.allSettled(pending);
      await sleep(50);
      const cutAt = performance.now();
      await harness.cut();
      const outcomes = await ended;
      expect(performance.now() - cutAt).toBeLessThan(3_000);
      expect(outcomes.every((one) => one.status === 'rejected' && one.reason.code === 'unavailable')).toBe(
        true,
      );
      free = true;
      await eventually(() => server.ready && harness.connected());
      await expect(eventually(() => harness.ask(Look, {}))).resolves.toEqual({ seen: 1 });
    });

    it('close() under load ends what has begun; nothing is given out again', async () => {
      const begun: string[] = [];
      const ended: string[] = [];
      const handlers: Handlers = [
        [
          Mend,
          async ({ thing }: { thing: string }) => {
            begun.push(thing);
            await sleep(150);
            ended.push(thing);
          },
        ],
      ];
      const first = await harness.serve(handlers, 5);
      const all = Array.from({ length: 400 }, (_, i) => `${i}`);
      await Promise.all(all.map((thing) => harness.send(Mend, { thing })));
      await eventually(() => ended.length >= 20);
      const closing = performance.now();
      await first.close();
      expect(performance.now() - closing).toBeLessThan(10_000);
      expect(ended).toHaveLength(begun.length);
      const atClose = begun.length;
      expect(atClose).toBeLessThan(400);
      await sleep(100);
      expect(begun).toHaveLength(atClose);
      await harness.serve(handlers, 40);
      await eventually(() => ended.length === 400);
      await sleep(100);
      expect([...begun].sort()).toEqual([...all].sort());
    });

    it('what concerns one thing is handled in its order, while others overtake', async () => {
      const seen: string[] = [];
      await harness.serve([
        [
          Delivered,
          async ({ thing, turn }: { thing: string; turn: number }) => {
            // The earlier, the slower: without order the last would be through first.
            await sleep(thing === 'slow' ? 60 - turn * 10 : 0);
            seen.push(`${thing} ${turn}`);
          },
        ],
      ]);
      for (let turn = 0; turn < 5; turn++) await harness.announce(Delivered, { thing: 'slow', turn });
      for (let turn = 0; turn < 5; turn++) await harness.announce(Delivered, { thing: 'fast', turn });
      await eventually(() => seen.length === 10);
      for (const thing of ['slow', 'fast']) {
        const ofThis = seen.filter((one) => one.startsWith(thing));
        expect(ofThis).toEqual([0, 1, 2, 3, 4].map((turn) => `${thing} ${turn}`));
      }
      expect(seen.indexOf('fast 0')).toBeLessThan(seen.indexOf('slow 4'));
    });

    it('no more is taken in than can be worked on', async () => {
      let now = 0;
      let most = 0;
      let done = 0;
      await harness.serve(
        [
          [
            Mend,
            async () => {
              most = Math.max(most, ++now);
              await sleep(5);
              now--;
              done++;
            },
          ],
        ],
        7,
      );
      await Promise.all(Array.from({ length: 300 }, (_, i) => harness.send(Mend, { thing: `${i}` })));
      await eventually(() => done === 300);
      expect(most).toBe(7);
    });
  });
}
