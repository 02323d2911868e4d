import type { Announcement } from '@jogakbo/contract';
import { describe, expect, it } from '@jest/globals';
import { Announcer } from './announcer.ts';
import type { BrokerConnection } from './connection.ts';
import type { Publisher } from './publisher.ts';

const valid: Announcement = {
  service: 'loans',
  version: '1.0.0',
  instance: 'loans-1',
  state: 'up',
  url: 'http://127.0.0.1:1',
  startedAt: '2026-01-01T00:00:00Z',
  interval: 2,
  madeQueues: [],
  contract: { service: 'loans', description: '', policy: {} as never, requests: [], events: [] },
};
/** Without a broker: an announcement is checked before the first use of the connection. */
const open = (changes: Partial<Announcement>) =>
  new Announcer({} as BrokerConnection, {} as Publisher, () => ({ ...valid, ...changes })).open();

describe('an instance does not start with an announcement that others would ignore', () => {
  it.each([
    ['a name of another service', { instance: 'books-1' }, 'must be loans- followed by letters or digits'],
    ['a contract of another service', { contract: { ...valid.contract, service: 'books' } }, 'must be loans'],
    [
      'a text that is not well formed',
      { contract: { ...valid.contract, description: '\ud800' } },
      'surrogate',
    ],
  ])('because of %s', async (_what, changes, reason) => {
    await expect(open(changes)).rejects.toThrow(reason);
  });

  it('because it is too large', async () => {
    const description = 'x'.repeat(300_000);
    await expect(open({ contract: { ...valid.contract, description } })).rejects.toThrow(
      /has 300\d{3} bytes, the limit is 245760/,
    );
  });
});
