import { describe, expect, it } from '@jest/globals';
import { PlatformSettings, ServiceSettings } from '@jogakbo/service';
import { IdentitySettings } from './settings.ts';

const open = (environment: NodeJS.ProcessEnv) =>
  ServiceSettings.open('identity', [PlatformSettings, IdentitySettings], {
    RABBITMQ_URL: 'amqp://127.0.0.1:1',
    ...environment,
  });
const client = (clientId: string) =>
  JSON.stringify([{ clientId, name: clientId, redirectUris: ['http://127.0.0.1/callback'] }]);

describe('the client to try OpenID Connect with', () => {
  it('keeps the service from starting outside local mode', async () => {
    await expect(open({ OIDC_CLIENTS: client('example') })).rejects.toThrow(/^OIDC_CLIENTS .*`example`/);
    await expect(open({ OIDC_CLIENTS: client('partner') })).resolves.toBeDefined();
  });

  it('is known in local mode', async () => {
    await expect(open({ OIDC_CLIENTS: client('example'), LOCAL_MODE: 'true' })).resolves.toBeDefined();
  });
});
