import { setImmediate } from 'node:timers/promises';
import { describe, expect, it, jest } from '@jest/globals';
import type { Announcement } from '@jogakbo/contract';
import type { DataSource } from 'typeorm';
import { QueueRecovery } from './queue-recovery.ts';

describe('a queue that was made anew', () => {
  it('asks the database for nothing where this service sends nothing there', async () => {
    const query = jest.fn(async () => [[], 0]);
    const lostQueues = new QueueRecovery({ query } as unknown as DataSource, () => {});
    const hear = (...takes: string[][]) =>
      lostQueues.hear({
        instance: 'search-1',
        madeQueues: takes.map((some, id) => ({ id: String(id), takes: some, ago: 0 })),
      } as unknown as Announcement);
    hear([], [], []);
    await setImmediate();
    expect(query).not.toHaveBeenCalled();
    await lostQueues.stop();
  });
});
