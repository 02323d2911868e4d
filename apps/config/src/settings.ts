import { environmentOnly, json, secret, settings } from '@jogakbo/service';
import { z } from 'zod';

const Password = z.string().min(16);

export class ConfigSettings extends settings({
  configKey: environmentOnly(
    secret(
      z
        .string()
        .transform((text) => text.split(','))
        .pipe(z.array(z.string().min(32, 'at least 32 characters')))
        .describe('keys that encrypt secrets, newest first, separated by commas; older keys only decrypt'),
    ),
  ),
  configClients: environmentOnly(
    secret(
      json(z.record(z.string(), Password))
        .default({})
        .describe(
          'config passwords of the services, {"service":"password"}; CONFIG_CLIENTS_FILE names a file with them',
        ),
    ),
  ),
}) {}
