import { expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { Rejection } from '@jogakbo/contract';
import { eventually } from '../eventually.ts';
import { Look, Take, type Handlers, type Harness } from './harness.ts';

/** Tests of requests: reply, deadline and loss of the connection. */
export function testRequests(harness: () => Harness): void {
  it('returns answers, rejections with their code, and faults without internal details', async () => {
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
    const rejection = await harness()
      .ask(Take, { thing: 'gone' })
      .catch((error: unknown) => error);
    expect(rejection).toBeInstanceOf(Rejection);
    expect(rejection).toMatchObject({ code: 'none-left', status: 409, message: 'sold out' });
    const fault = { code: 'internal', message: 'the service failed' };
    await expect(harness().ask(Look, {})).rejects.toMatchObject(fault);
  });

  it('fails a request at once if no instance handles it', async () => {
    const asked = performance.now();
    await expect(harness().ask(Look, {})).rejects.toMatchObject({ code: 'unavailable' });
    expect(performance.now() - asked).toBeLessThan(1_000);
  });

  it('runs none of 50 requests after their deadline', async () => {
    let ran = 0;
    const handlers: Handlers = [
      [Take, () => ({ taken: ++ran })],
      [Look, () => ({ seen: ++ran })],
    ];
    const stopped = await harness().serve(handlers);
    await stopped.close();
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
    // No caller waits for them any more, so they are not dead-lettered.
    expect(await harness().takeDeadLetters()).toEqual([]);
  });

  it('does not run a request whose deadline passes while it is queued', async () => {
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

  it('fails pending requests when the connection is lost, and reconnects', async () => {
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
    await harness().cutConnections();
    const outcomes = await ended;
    expect(performance.now() - cutAt).toBeLessThan(3_000);
    expect(outcomes.every((one) => one.status === 'rejected' && one.reason.code === 'unavailable')).toBe(
      true,
    );
    free = true;
    await eventually(() => server.ready && harness().isConnected());
    await expect(eventually(() => harness().ask(Look, {}))).resolves.toEqual({ seen: 1 });
  });
}
