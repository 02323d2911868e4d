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
        .describe(
          'what secrets are encrypted with; newest first, separated by commas: older ones still open what they sealed',
        ),
    ),
  ),
  configClients: environmentOnly(
    secret(
      json(z.record(z.string(), Password))
        .default({})
        .describe('who may ask, {"service":"password"}; give a file by CONFIG_CLIENTS_FILE'),
    ),
  ),
}) {}
