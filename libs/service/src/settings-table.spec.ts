import { expect, it } from '@jest/globals';
import { toInForce } from './setting-state.ts';
import { SettingsTable } from './settings-table.ts';
import { PlatformSettings } from './settings.ts';

it('no longer reports an invalid value once the config server has removed it', () => {
  const table = new SettingsTable('shop', [PlatformSettings], {
    RABBITMQ_URL: 'amqp://127.0.0.1:1',
    LOG_LEVEL: 'warn',
  });
  const value = {
    key: 'logLevel',
    value: 'loud',
    application: 'shop',
    profile: 'default',
    version: 1,
    by: 'kim',
  };
  const find = (key: string) => table.settings.map(toInForce).find((one) => one.key === key);
  table.apply(new Map([['logLevel', { ...value, secret: false }]]), 'run');
  expect(find('logLevel')).toMatchObject({
    value: 'warn',
    origin: 'environment',
    refused: expect.anything(),
  });
  table.apply(new Map(), 'run');
  expect(find('logLevel')).not.toHaveProperty('refused');
});
