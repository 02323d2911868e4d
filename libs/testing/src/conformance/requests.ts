import { expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { Rejection } from '@jogakbo/contract';
import { eventually } from '../eventually.ts';
import { Look, Take, type Handlers, type Harness } from './harness.ts';

/** What becomes of a question: its answer, its deadline, its connection. */
export function requests(harness: () => Harness): void {
  it('a question gets its answer, a "no" keeps its code, a fault shows nothing of the inside', async () => {
    await harness().serve([
      [Look, () => Promise.reject(new Error('password of the database is 1234'))],
      [
        Take,
        ({ thing, count }: { thing: string; count: number }) => {
          if (thing === 'gone') throw Take.reject('none-left', 'sold out');
          return { taken: count };
        },
      ],
    ]);
    await expect(harness().ask(Take, { thing: 'a' })).resolves.toEqual({ taken: 1 });
    const no = await harness()
      .ask(Take, { thing: 'gone' })
      .catch((error: unknown) => error);
    expect(no).toBeInstanceOf(Rejection);
    expect(no).toMatchObject({ code: 'none-left', status: 409, message: 'sold out' });
    const fault = { code: 'internal', message: 'the service failed' };
    await expect(harness().ask(Look, {})).rejects.toMatchObject(fault);
  });

  it('a request that nobody takes is a fault at once', async () => {
    const asked = performance.now();
    await expect(harness().ask(Look, {})).rejects.toMatchObject({ code: 'unavailable' });
    expect(performance.now() - asked).toBeLessThan(1_000);
  });

  it('of 50 requests whose deadline passed none is run', async () => {
    let ran = 0;
    const handlers: Handlers = [
      [Take, () => ({ taken: ++ran })],
      [Look, () => ({ seen: ++ran })],
    ];
    const away = await harness().serve(handlers);
    await away.close();
    const late = Array.from({ length: 25 }, (_, i) => [
      harness().ask(Take, { thing: `${i}` }, { timeout: 150 }),
      harness().ask(Look, {}, { timeout: 150 }),
    ]).flat();
    const outcomes = await Promise.allSettled(late);
    expect(outcomes.every((one) => one.status === 'rejected' && one.reason.code === 'timeout')).toBe(true);
    await harness().serve(handlers);
    await expect(harness().ask(Take, { thing: 'x' })).resolves.toEqual({ taken: 1 });
    await expect(harness().ask(Look, {})).resolves.toEqual({ seen: 2 });
    await sleep(100);
    expect(ran).toBe(2);
    // Nobody waits for them any more: there is nothing for an operator to decide.
    expect(await harness().givenUp()).toEqual([]);
  });

  it('nor where the deadline passed while it waited for its turn', async () => {
    const ran: number[] = [];
    await harness().serve([
      [
        Take,
        async ({ count }: { count: number }) => {
          ran.push(count);
          await sleep(300);
          return { taken: 1 };
        },
      ],
    ]);
    const first = harness().ask(Take, { thing: 'a', count: 1 });
    await eventually(() => ran.length === 1);
    const second = harness().ask(Take, { thing: 'a', count: 2 }, { timeout: 100 });
    await expect(second).rejects.toMatchObject({ code: 'timeout' });
    await first;
    await sleep(150);
    expect(ran).toEqual([1]);
  });

  it('no request stays pending when the connection goes, and all comes back by itself', async () => {
    let free = false;
    const server = await harness().serve([
      [
        Look,
        async () => {
          await eventually(() => free);
          return { seen: 1 };
        },
      ],
    ]);
    const pending = Array.from({ length: 20 }, () => harness().ask(Look, {}, { timeout: 60_000 }));
    const ended = Promise.allSettled(pending);
    await sleep(50);
    const cutAt = performance.now();
    await harness().cut();
    const outcomes = await ended;
    expect(performance.now() - cutAt).toBeLessThan(3_000);
    expect(outcomes.every((one) => one.status === 'rejected' && one.reason.code === 'unavailable')).toBe(
      true,
    );
    free = true;
    await eventually(() => server.ready && harness().connected());
    await expect(eventually(() => harness().ask(Look, {}))).resolves.toEqual({ seen: 1 });
  });
}
