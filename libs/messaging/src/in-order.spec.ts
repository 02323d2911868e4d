import { describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { InOrder } from './in-order.ts';

describe('InOrder', () => {
  it('runs work in order within a key and concurrently between keys', async () => {
    const order = new InOrder();
    const done: string[] = [];
    const step = (name: string, ms: number) => async () => {
      await sleep(ms);
      done.push(name);
    };
    await Promise.all([
      order.run('a', step('a1', 30)),
      order.run('a', step('a2', 0)),
      order.run('b', step('b1', 5)),
    ]);
    expect(done).toEqual(['b1', 'a1', 'a2']);
  });

  it('continues after failed work', async () => {
    const order = new InOrder();
    const failed = order.run('a', () => Promise.reject(new Error('no')));
    await expect(failed).rejects.toThrow('no');
    await expect(order.run('a', async () => 'yes')).resolves.toBe('yes');
  });
});
