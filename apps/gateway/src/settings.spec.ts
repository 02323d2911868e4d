import { expect, it } from '@jest/globals';
import { PlatformSettings, ServiceSettings } from '@jogakbo/service';
import { GatewaySettings } from './settings.ts';

const open = (environment: NodeJS.ProcessEnv) =>
  ServiceSettings.open('gateway', [PlatformSettings, GatewaySettings], {
    RABBITMQ_URL: 'amqp://127.0.0.1:1',
    TOKEN_ISSUER: 'https://store.example',
    LANGUAGES: 'nl,en',
    ...environment,
  });

it('requires a token issuer', async () => {
  await expect(open({ TOKEN_ISSUER: '', LANGUAGES: 'nl,en' })).rejects.toThrow(
    /^TOKEN_ISSUER \(not set\): is missing: the issuer/,
  );
  await expect(open({})).resolves.toBeDefined();
});

it('rejects a Redis URL without TLS', async () => {
  const REDIS_URL = 'redis://:hush@cache.example';
  await expect(open({ REDIS_URL })).rejects.toThrow(/^REDIS_URL .*without TLS: use rediss:/);
  for (const allowed of [{ PLAINTEXT_NETWORK: 'allow' }, { LOCAL_MODE: 'true' }])
    await expect(open({ REDIS_URL, ...allowed })).resolves.toBeDefined();
});
