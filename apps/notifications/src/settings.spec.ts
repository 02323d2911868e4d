import { expect, it } from '@jest/globals';
import { PlatformSettings, ServiceSettings } from '@jogakbo/service';
import { NotificationsSettings } from './settings.ts';

const open = (environment: NodeJS.ProcessEnv) =>
  ServiceSettings.open('notifications', [PlatformSettings, NotificationsSettings], {
    RABBITMQ_URL: 'amqp://notifications@127.0.0.1:1',
    ...environment,
  });

it('requires a mail server outside local mode', async () => {
  await expect(open({})).rejects.toThrow(/^SMTP_URL \(not set\): is missing/);
  await expect(open({ SMTP_URL: 'smtp://mail.example' })).resolves.toBeDefined();
  await expect(open({ LOCAL_MODE: 'true' })).resolves.toBeDefined();
});
