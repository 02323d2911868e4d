import { expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { Rejection } from '@jogakbo/contract';
import { eventually } from '../eventually.ts';
import { Delivered, Repair, type DeadLettered, type Handlers, type Harness } from './harness.ts';

/** Tests of delivery: acknowledgement, retries, dead letters and order. */
export function testDelivery(harness: () => Harness): void {
  it('acknowledges a message after its handler: an interrupted message is redelivered', async () => {
    const begun: string[] = [];
    let mayEnd = false;
    await harness().serve([
      [
        Repair,
        async ({ thing }: { thing: string }) => {
          begun.push(thing);
          await eventually(() => mayEnd);
        },
      ],
    ]);
    await harness().send(Repair, { thing: 'a' });
    await eventually(() => begun.length === 1);
    await harness().cutConnections();
    mayEnd = true;
    await eventually(() => begun.length === 2);
    await sleep(300);
    expect(begun).toEqual(['a', 'a']);
    expect(await harness().takeDeadLetters()).toEqual([]);
  });

  it('retries a failing message as configured, then dead-letters it with its cause', async () => {
    let attempts = 0;
    await harness().serve([
      [
        Repair,
        () => {
          attempts++;
          throw new Error('beyond repair');
        },
      ],
    ]);
    await harness().send(Repair, { thing: 'broken' });
    const [letter] = await eventually(async () => {
      const letters = await harness().takeDeadLetters();
      return letters.length > 0 && letters;
    });
    await sleep(300);
    expect(attempts).toBe(harness().retries + 1);
    expect(letter).toMatchObject({ failures: harness().retries + 1, cause: 'Error: beyond repair' });
    expect(letter!.body).toContain('"broken"');
    expect(await harness().takeDeadLetters()).toEqual([]);
  });

  it('dead-letters permanent failures at once', async () => {
    let handled = 0;
    const handlers: Handlers = [
      [
        Repair,
        () => {
          handled++;
          throw new Rejection('never', 409);
        },
      ],
      [Delivered, () => handled++],
    ];
    await harness().serve(handlers);
    await harness().send(Repair, { thing: 'refused' });
    await harness().send(Repair, { unknown: true });
    await harness().poison(Delivered, '{ not json');
    await harness().poison(Delivered, '{"data":{}}');
    const letters: DeadLettered[] = [];
    await eventually(async () => {
      letters.push(...(await harness().takeDeadLetters()));
      return letters.length >= 4;
    });
    expect(letters.map(({ failures }) => failures)).toEqual([1, 1, 1, 1]);
    expect(handled).toBe(1);
  });

  it('handles messages of one subject in order, while other subjects overtake', async () => {
    const seen: string[] = [];
    await harness().serve([
      [
        Delivered,
        async ({ thing, turn }: { thing: string; turn: number }) => {
          // Earlier messages take longer: without ordering, the last one would finish first.
          await sleep(thing === 'slow' ? 60 - turn * 10 : 0);
          seen.push(`${thing} ${turn}`);
        },
      ],
    ]);
    for (let turn = 0; turn < 5; turn++) await harness().announce(Delivered, { thing: 'slow', turn });
    for (let turn = 0; turn < 5; turn++) await harness().announce(Delivered, { thing: 'fast', turn });
    await eventually(() => seen.length === 10);
    for (const thing of ['slow', 'fast']) {
      const ofOneThing = seen.filter((one) => one.startsWith(thing));
      expect(ofOneThing).toEqual([0, 1, 2, 3, 4].map((turn) => `${thing} ${turn}`));
    }
    expect(seen.indexOf('fast 0')).toBeLessThan(seen.indexOf('slow 4'));
  });
}
