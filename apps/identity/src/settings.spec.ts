import { describe, expect, it } from '@jest/globals';
import { PlatformSettings, ServiceSettings } from '@jogakbo/service';
import { IdentitySettings } from './settings.ts';

const open = (environment: NodeJS.ProcessEnv) =>
  ServiceSettings.open('identity', [PlatformSettings, IdentitySettings], {
    RABBITMQ_URL: 'amqp://127.0.0.1:1',
    TOKEN_ISSUER: 'https://store.example',
    LANGUAGES: 'ko,en',
    ...environment,
  });
const client = (clientId: string) =>
  JSON.stringify([{ clientId, name: clientId, redirectUris: ['http://127.0.0.1/callback'] }]);

describe('the example client', () => {
  it('prevents the start outside local mode', async () => {
    await expect(open({ OIDC_CLIENTS: client('example') })).rejects.toThrow(/^OIDC_CLIENTS .*`example`/);
    await expect(open({ OIDC_CLIENTS: client('partner') })).resolves.toBeDefined();
  });

  it('is accepted in local mode', async () => {
    await expect(open({ OIDC_CLIENTS: client('example'), LOCAL_MODE: 'true' })).resolves.toBeDefined();
  });
});

describe('ROLES', () => {
  it.each(['member', 'owner', 'operator', 'public'])(
    'must not contain %s: the platform reserves it',
    async (role) => {
      await expect(open({ ROLES: `moderator,${role}` })).rejects.toThrow(
        /^ROLES .*is reserved by the platform/,
      );
      await expect(open({ ROLES: 'moderator' })).resolves.toBeDefined();
    },
  );
});

describe('TOKEN_ISSUER', () => {
  it('has no default', async () => {
    for (const LOCAL_MODE of ['false', 'true'])
      await expect(open({ TOKEN_ISSUER: '', LANGUAGES: 'ko,en', LOCAL_MODE })).rejects.toThrow(
        /^TOKEN_ISSUER \(not set\): is missing: the public address of the store/,
      );
  });

  it('requires https outside local mode, except for loopback', async () => {
    const TOKEN_ISSUER = 'http://store.example';
    await expect(open({ TOKEN_ISSUER })).rejects.toThrow(/^TOKEN_ISSUER \(environment\): must be https:/);
    await expect(open({ TOKEN_ISSUER, LOCAL_MODE: 'true' })).resolves.toBeDefined();
    for (const loopback of ['http://localhost:3000', 'http://127.0.0.1:3000', 'http://[::1]:3000'])
      await expect(open({ TOKEN_ISSUER: loopback })).resolves.toBeDefined();
  });
});
