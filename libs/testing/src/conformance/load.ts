import { expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../eventually.ts';
import { Delivered, Mend, type DeadLettered, type Handlers, type Harness } from './harness.ts';

/** That much at once, and among it what cannot be handled, changes nothing. */
export function load(harness: () => Harness): void {
  it('50 poison messages never stop 1,000 good ones', async () => {
    const seen = new Set<string>();
    await harness().serve(
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
      if (i % 40 === 0) sent.push(harness().poison(Delivered, `${i} is not json`));
      if (i % 40 === 20) sent.push(harness().announce(Delivered, { thing: `bad ${i}`, turn: i }));
      sent.push(harness().announce(Delivered, { thing: `good ${i}`, turn: i }));
    }
    await Promise.all(sent);
    await eventually(() => seen.size === 1_000);
    expect(performance.now() - began).toBeLessThan(10_000);
    const letters: DeadLettered[] = [];
    await eventually(async () => {
      letters.push(...(await harness().givenUp()));
      return letters.length >= 50;
    });
    expect(letters).toHaveLength(50);
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
    const first = await harness().serve(handlers, 5);
    const all = Array.from({ length: 400 }, (_, i) => `${i}`);
    await Promise.all(all.map((thing) => harness().send(Mend, { thing })));
    await eventually(() => ended.length >= 20);
    const closing = performance.now();
    await first.close();
    expect(performance.now() - closing).toBeLessThan(10_000);
    expect(ended).toHaveLength(begun.length);
    const atClose = begun.length;
    expect(atClose).toBeLessThan(400);
    await sleep(100);
    expect(begun).toHaveLength(atClose);
    await harness().serve(handlers, 40);
    await eventually(() => ended.length === 400);
    await sleep(100);
    expect([...begun].sort()).toEqual([...all].sort());
  });

  it('no more is taken in than can be worked on', async () => {
    let now = 0;
    let most = 0;
    let done = 0;
    await harness().serve(
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
    await Promise.all(Array.from({ length: 300 }, (_, i) => harness().send(Mend, { thing: `${i}` })));
    await eventually(() => done === 300);
    expect(most).toBe(7);
  });
}
