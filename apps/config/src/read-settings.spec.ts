import type { KnownGrants, MessageContext } from '@jogakbo/messaging';
import { describe, expect, it } from '@jest/globals';
import { ReadSettingsHandler } from './read-settings.ts';
import type { Sources } from './sources.ts';
import type { SecretEncryption } from './secret-encryption.ts';

describe('the settings of a service', () => {
  const read = (application: string, sender: string | undefined, hasLoginPerService: boolean) =>
    new ReadSettingsHandler(
      { find: async () => [] } as unknown as Sources,
      { hasClient: () => true } as unknown as SecretEncryption,
      { hasLoginPerService } as KnownGrants,
    ).handle({ application, profiles: ['default'], label: 'main' }, {
      incoming: { sender },
    } as MessageContext);

  it('can be read over the bus by the login of the service only', async () => {
    await expect(read('shop', 'shop', true)).resolves.toEqual({ sources: [] });
    for (const sender of ['search', 'shop-2', 'gateway', '', undefined])
      await expect(read('shop', sender, true)).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('can be read by any sender if services share one login', async () => {
    await expect(read('shop', undefined, false)).resolves.toEqual({ sources: [] });
  });
});
