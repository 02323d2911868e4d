import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { ServiceSettings } from './service-settings.ts';
import { PlatformSettings, WrongSettings } from './settings.ts';

const open = async (environment: NodeJS.ProcessEnv) => {
  const { instances } = await ServiceSettings.open('shop', [PlatformSettings], {
    RABBITMQ_URL: 'amqp://shop@127.0.0.1:1',
    ...environment,
  });
  return (instances[0] as PlatformSettings).serviceKey!;
};

describe('the key of a service', () => {
  it('is required where services have logins of their own', async () => {
    const opening = open({ BROKER_OPERATOR: 'boss' });
    await expect(opening).rejects.toThrow(WrongSettings);
    await expect(opening).rejects.toThrow(/^SERVICE_KEY .*is missing/);
    const SERVICE_KEY = randomBytes(32).toString('base64url');
    const read = await open({ BROKER_OPERATOR: 'boss', SERVICE_KEY });
    expect(read.derive('x')).toEqual((await open({ SERVICE_KEY })).derive('x'));
  });

  it('is made by each process where all share a login', async () => {
    expect((await open({})).derive('x')).not.toEqual((await open({})).derive('x'));
  });

  it('is not told where it is wrong', async () => {
    const opening = open({ SERVICE_KEY: 'not-a-key-but-secret' });
    await expect(opening).rejects.toThrow(/^SERVICE_KEY \(environment\): must be 32 bytes/);
    await expect(opening).rejects.not.toThrow(/secret/);
  });
});
