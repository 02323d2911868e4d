import { describe, expect, it } from '@jest/globals';
import { PlatformSettings, ServiceSettings } from '@jogakbo/service';
import { isMarked } from '@jogakbo/service/settings';
import { PaymentsSettings } from './settings.ts';

const open = async (environment: NodeJS.ProcessEnv) => {
  const all = { RABBITMQ_URL: 'amqp://payments@127.0.0.1:1', ...environment };
  const { instances } = await ServiceSettings.open('payments', [PlatformSettings, PaymentsSettings], all);
  return instances[1] as PaymentsSettings;
};
const provider = { PROVIDER_URL: 'https://provider.example', PROVIDER_TOKEN: 'of-the-store-at-it' };

describe('PaymentsSettings', () => {
  it('takes the address of the provider from the environment only', () => {
    expect(isMarked(PaymentsSettings.shape.providerUrl, 'environmentOnly')).toBe(true);
  });

  it.each<[string, NodeJS.ProcessEnv, RegExp]>([
    [
      'a missing provider',
      {},
      /^PROVIDER_URL \(not set\): is missing.*\nPROVIDER_TOKEN \(not set\): is missing/,
    ],
    ['an empty provider', { ...provider, PROVIDER_URL: '' }, /^PROVIDER_URL \(not set\): is missing/],
    [
      'a URL without TLS',
      { ...provider, PROVIDER_URL: 'http://provider.example' },
      /^PROVIDER_URL .* must be https/,
    ],
    [
      'missing credentials',
      { PROVIDER_URL: provider.PROVIDER_URL },
      /^PROVIDER_TOKEN \(not set\): is missing/,
    ],
    ['an invalid LOCAL_MODE', { LOCAL_MODE: 'please' }, /^LOCAL_MODE \(environment\): /],
  ])('rejects %s', async (_, environment, problem) => {
    await expect(open(environment)).rejects.toThrow(problem);
    await expect(open({ LOCAL_MODE: 'false', ...environment })).rejects.toThrow(problem);
  });

  it('accepts a provider with TLS and credentials', async () => {
    await expect(open(provider)).resolves.toMatchObject({ providerUrl: 'https://provider.example' });
  });

  it('requires no provider in local mode', async () => {
    await expect(open({ LOCAL_MODE: 'true' })).resolves.toMatchObject({ providerTimeout: 5_000 });
  });
});
