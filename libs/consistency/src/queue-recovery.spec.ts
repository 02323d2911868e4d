import { setImmediate } from 'node:timers/promises';
import { describe, expect, it, jest } from '@jest/globals';
import type { Announcement } from '@jogakbo/contract';
import type { DataSource } from 'typeorm';
import { QueueRecovery } from './queue-recovery.ts';

describe('QueueRecovery', () => {
  it('does not query the database for a queue to which this service sends nothing', async () => {
    const query = jest.fn(async () => [[], 0]);
    const recovery = new QueueRecovery({ query } as unknown as DataSource, {
      runBetweenBatches: async () => undefined,
    });
    const receive = (...takes: string[][]) =>
      recovery.receiveAnnouncement({
        instance: 'search-1',
        madeQueues: takes.map((some, id) => ({ id: String(id), takes: some, ago: 0 })),
      } as unknown as Announcement);
    receive([], [], []);
    await setImmediate();
    expect(query).not.toHaveBeenCalled();
    await recovery.stop();
  });
});
