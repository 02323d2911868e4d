import { describe, expect, it } from '@jest/globals';
import { FairQueue, QueueFull } from './fair-queue.ts';

/** Creates a queue whose tasks end on `drain`. */
function createQueue(capacity: number, timeoutMs = 60_000) {
  const queue = new FairQueue(2, capacity, timeoutMs);
  const started: string[] = [];
  const rejected: string[] = [];
  const ends: (() => void)[] = [];
  const add = (name: string) =>
    queue
      .run(name.split(' ')[0]!, () => {
        started.push(name);
        return new Promise<void>((resolve) => ends.push(resolve));
      })
      .catch((error: unknown) => {
        expect(error).toBeInstanceOf(QueueFull);
        rejected.push(name);
      });
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  /** Ends all tasks one by one. */
  const drain = async () => {
    for (let end = ends.shift(); end; end = ends.shift()) {
      end();
      await settle();
    }
  };
  return { add, started, rejected, settle, drain };
}

describe('a fair queue', () => {
  it('serves sources round-robin during a flood from one source', async () => {
    const { add, started, rejected, drain } = createQueue(46);
    for (let nth = 1; nth <= 40; nth += 1) void add(`flood ${nth}`);
    void add('one 1');
    void add('two 1');
    void add('one 2');
    await drain();
    expect(started.slice(0, 9)).toEqual([
      ...['flood 1', 'flood 2', 'flood 3', 'one 1', 'two 1', 'flood 4', 'one 2', 'flood 5', 'flood 6'],
    ]);
    expect(started).toHaveLength(43);
    expect(rejected).toEqual([]);
  });

  it('evicts a task of the largest source for a new source', async () => {
    const { add, started, rejected, settle, drain } = createQueue(10);
    for (let nth = 1; nth <= 20; nth += 1) void add(`flood ${nth}`);
    await settle();
    // Two tasks run and ten wait. The other eight are rejected.
    expect(rejected).toEqual(Array.from({ length: 8 }, (_, nth) => `flood ${nth + 13}`));
    void add('one 1');
    void add('two 1');
    await settle();
    expect(rejected.slice(8)).toEqual(['flood 12', 'flood 11']);
    await drain();
    expect(started).toContain('one 1');
    expect(started).toContain('two 1');
    expect(started).toHaveLength(12);
  });

  it('rejects a new task if every source holds one place', async () => {
    const { add, rejected, settle } = createQueue(3);
    for (const name of ['a 0', 'b 0', 'a 1', 'b 1', 'c 1', 'd 1']) void add(name);
    await settle();
    expect(rejected).toEqual(['d 1']);
  });

  it('rejects tasks that waited too long', async () => {
    const { add, started, rejected, drain } = createQueue(10, -1);
    for (const name of ['a 1', 'b 1']) void add(name);
    await drain();
    expect(started).toEqual([]);
    expect(rejected).toEqual(['a 1', 'b 1']);
  });

  it('rethrows the error of a task, and runs the next', async () => {
    const queue = new FairQueue(1, 1, 60_000);
    await expect(queue.run('a', () => Promise.reject(new Error('its own')))).rejects.toThrow('its own');
    await expect(queue.run('a', () => Promise.resolve(1))).resolves.toBe(1);
  });
});
