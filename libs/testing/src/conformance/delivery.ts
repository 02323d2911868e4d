import { expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { Rejection } from '@jogakbo/contract';
import { eventually } from '../eventually.ts';
import { Delivered, Mend, type DeadLettered, type Handlers, type Harness } from './harness.ts';

/** What becomes of a message: acknowledged, tried again, given up, and in which order. */
export function delivery(harness: () => Harness): void {
  it('a message is acknowledged after its handler, never before: one cut short comes again', async () => {
    const begun: string[] = [];
    let mayEnd = false;
    await harness().serve([
      [
        Mend,
        async ({ thing }: { thing: string }) => {
          begun.push(thing);
          await eventually(() => mayEnd);
        },
      ],
    ]);
    await harness().send(Mend, { thing: 'a' });
    await eventually(() => begun.length === 1);
    await harness().cut();
    mayEnd = true;
    await eventually(() => begun.length === 2);
    await sleep(300);
    expect(begun).toEqual(['a', 'a']);
    expect(await harness().givenUp()).toEqual([]);
  });

  it('a message that fails is tried again exactly so often, then given up with its cause', async () => {
    let attempts = 0;
    await harness().serve([
      [
        Mend,
        () => {
          attempts++;
          throw new Error('beyond repair');
        },
      ],
    ]);
    await harness().send(Mend, { thing: 'broken' });
    const [letter] = await eventually(async () => {
      const letters = await harness().givenUp();
      return letters.length > 0 && letters;
    });
    await sleep(300);
    expect(attempts).toBe(harness().retries + 1);
    expect(letter).toMatchObject({ failures: harness().retries + 1, cause: 'Error: beyond repair' });
    expect(letter!.body).toContain('"broken"');
    expect(await harness().givenUp()).toEqual([]);
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
    await harness().serve(handlers);
    await harness().send(Mend, { thing: 'refused' });
    await harness().send(Mend, { unknown: true });
    await harness().poison(Delivered, '{ not json');
    await harness().poison(Delivered, '{"data":{}}');
    const letters: DeadLettered[] = [];
    await eventually(async () => {
      letters.push(...(await harness().givenUp()));
      return letters.length >= 4;
    });
    expect(letters.map(({ failures }) => failures)).toEqual([1, 1, 1, 1]);
    expect(handled).toBe(1);
  });

  it('what concerns one thing is handled in its order, while others overtake', async () => {
    const seen: string[] = [];
    await harness().serve([
      [
        Delivered,
        async ({ thing, turn }: { thing: string; turn: number }) => {
          // The earlier, the slower: without order the last would be through first.
          await sleep(thing === 'slow' ? 60 - turn * 10 : 0);
          seen.push(`${thing} ${turn}`);
        },
      ],
    ]);
    for (let turn = 0; turn < 5; turn++) await harness().announce(Delivered, { thing: 'slow', turn });
    for (let turn = 0; turn < 5; turn++) await harness().announce(Delivered, { thing: 'fast', turn });
    await eventually(() => seen.length === 10);
    for (const thing of ['slow', 'fast']) {
      const ofThis = seen.filter((one) => one.startsWith(thing));
      expect(ofThis).toEqual([0, 1, 2, 3, 4].map((turn) => `${thing} ${turn}`));
    }
    expect(seen.indexOf('fast 0')).toBeLessThan(seen.indexOf('slow 4'));
  });
}
