import { expect, it } from '@jest/globals';
import type { Announcement } from '@jogakbo/contract';
import { Announcer } from './announcer.ts';
import type { BrokerConnection } from './connection.ts';
import type { Publisher } from './publisher.ts';

it('names the limit that a too large announcement exceeds', async () => {
  const announcement = { service: 'shop', version: 'x'.repeat(250_000) } as Announcement;
  const announcer = new Announcer({} as BrokerConnection, {} as Publisher, () => announcement);
  await expect(announcer.open()).rejects.toThrow('has 250031 bytes, the limit is 245760');
});
