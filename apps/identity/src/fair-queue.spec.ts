import { describe, expect, it } from '@jest/globals';
import { FairQueue, QueueFull } from './fair-queue.ts';

/** Tasks that end when they are told to. */
function bench(places: number, timeoutMs = 60_000) {
  const queue = new FairQueue(2, places, timeoutMs);
  const started: string[] = [];
  const refused: string[] = [];
  const ends: (() => void)[] = [];
  const add = (name: string) =>
    queue
      .run(name.split(' ')[0]!, () => {
        started.push(name);
        return new Promise<void>((resolve) => ends.push(resolve));
      })
      .catch((error: unknown) => {
        expect(error).toBeInstanceOf(QueueFull);
        refused.push(name);
      });
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  /** Ends tasks, one after the other, until none is left. */
  const drain = async () => {
    for (let end = ends.shift(); end; end = ends.shift()) {
      end();
      await settle();
    }
  };
  return { add, started, refused, settle, drain };
}

describe('a fair queue', () => {
  it('gives each source its turn, whatever another one brings', async () => {
    const { add, started, refused, drain } = bench(46);
    for (let nth = 1; nth <= 40; nth += 1) void add(`flood ${nth}`);
    void add('one 1');
    void add('two 1');
    void add('one 2');
    await drain();
    expect(started.slice(0, 9)).toEqual([
      ...['flood 1', 'flood 2', 'flood 3', 'one 1', 'two 1', 'flood 4', 'one 2', 'flood 5', 'flood 6'],
    ]);
    expect(started).toHaveLength(43);
    expect(refused).toEqual([]);
  });

  it('takes the place of a newcomer from the source that has most', async () => {
    const { add, started, refused, settle, drain } = bench(10);
    for (let nth = 1; nth <= 20; nth += 1) void add(`flood ${nth}`);
    await settle();
    // Two at work and ten who wait: the rest of them is refused at once.
    expect(refused).toEqual(Array.from({ length: 8 }, (_, nth) => `flood ${nth + 13}`));
    void add('one 1');
    void add('two 1');
    await settle();
    expect(refused.slice(8)).toEqual(['flood 12', 'flood 11']);
    await drain();
    expect(started).toContain('one 1');
    expect(started).toContain('two 1');
    expect(started).toHaveLength(12);
  });

  it('refuses a newcomer where each source has a place already', async () => {
    const { add, refused, settle } = bench(3);
    for (const name of ['a 0', 'b 0', 'a 1', 'b 1', 'c 1', 'd 1']) void add(name);
    await settle();
    expect(refused).toEqual(['d 1']);
  });

  it('refuses what has waited too long, and runs the next', async () => {
    const { add, started, refused, drain } = bench(10, -1);
    for (const name of ['a 1', 'b 1']) void add(name);
    await drain();
    expect(started).toEqual([]);
    expect(refused).toEqual(['a 1', 'b 1']);
  });

  it('passes on what a task throws, and goes on', async () => {
    const queue = new FairQueue(1, 1, 60_000);
    await expect(queue.run('a', () => Promise.reject(new Error('its own')))).rejects.toThrow('its own');
    await expect(queue.run('a', () => Promise.resolve(1))).resolves.toBe(1);
  });
});
