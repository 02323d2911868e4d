import { expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../eventually.ts';
import { Delivered, Repair, type DeadLettered, type Handlers, type Harness } from './harness.ts';

/** Tests under load, with poison messages. */
export function testLoad(harness: () => Harness): void {
  it('handles 1,000 good messages despite 50 poison messages', async () => {
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
      // More poison messages of each kind than the prefetch.
      if (i % 40 === 0) sent.push(harness().poison(Delivered, `${i} is not json`));
      if (i % 40 === 20) sent.push(harness().announce(Delivered, { thing: `bad ${i}`, turn: i }));
      sent.push(harness().announce(Delivered, { thing: `good ${i}`, turn: i }));
    }
    await Promise.all(sent);
    await eventually(() => seen.size === 1_000);
    expect(performance.now() - began).toBeLessThan(10_000);
    const letters: DeadLettered[] = [];
    await eventually(async () => {
      letters.push(...(await harness().takeDeadLetters()));
      return letters.length >= 50;
    });
    expect(letters).toHaveLength(50);
  });

  it('close() under load finishes started messages; none is redelivered', async () => {
    const begun: string[] = [];
    const ended: string[] = [];
    const handlers: Handlers = [
      [
        Repair,
        async ({ thing }: { thing: string }) => {
          begun.push(thing);
          await sleep(150);
          ended.push(thing);
        },
      ],
    ];
    const first = await harness().serve(handlers, 5);
    const all = Array.from({ length: 400 }, (_, i) => `${i}`);
    await Promise.all(all.map((thing) => harness().send(Repair, { thing })));
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

  it('handles at most `prefetch` messages at a time', async () => {
    let now = 0;
    let most = 0;
    let done = 0;
    await harness().serve(
      [
        [
          Repair,
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
    await Promise.all(Array.from({ length: 300 }, (_, i) => harness().send(Repair, { thing: `${i}` })));
    await eventually(() => done === 300);
    expect(most).toBe(7);
  });
}
