import { expect, it } from '@jest/globals';
import { z } from 'zod';
import { describeSettings } from './describe-settings.ts';
import { SettingDescription } from './settings-description.ts';
import { DatabaseSettings, environmentOnly, live, PlatformSettings, secret, settings } from './settings.ts';

it('describes settings without the values of secrets', () => {
  class OwnSettings extends settings({
    mailFrom: live(z.string().default('a@example.com').describe('sender of mails')),
    apiKey: environmentOnly(secret(z.string().default('hidden'))),
    pages: z.coerce.number().default(20),
    printer: z.string(),
  }) {}
  const described = describeSettings([OwnSettings]);
  expect(described).toEqual([
    {
      ...{ key: 'mailFrom', variable: 'MAIL_FROM', group: 'service', description: 'sender of mails' },
      ...{ default: 'a@example.com', required: false, live: true, secret: false, environmentOnly: false },
    },
    {
      ...{ key: 'apiKey', variable: 'API_KEY', group: 'service', description: '' },
      ...{ required: false, live: false, secret: true, environmentOnly: true },
    },
    {
      ...{ key: 'pages', variable: 'PAGES', group: 'service', description: '' },
      ...{ default: '20', required: false, live: false, secret: false, environmentOnly: false },
    },
    {
      ...{ key: 'printer', variable: 'PRINTER', group: 'service', description: '' },
      ...{ required: true, live: false, secret: false, environmentOnly: false },
    },
  ]);
  expect(SettingDescription.array().safeParse(described).error).toBeUndefined();
});

it('tells the settings of every service from those of one', () => {
  const groups = describeSettings([PlatformSettings, DatabaseSettings]).map(({ group, key }) => [key, group]);
  expect(groups).toEqual(
    expect.arrayContaining([
      ['logLevel', 'platform'],
      ['databaseUrl', 'database'],
    ]),
  );
});
