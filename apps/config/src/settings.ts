import { secret, settings } from '@jogakbo/service';
import { z } from 'zod';

const Password = z.string().min(16);

export class ConfigSettings extends settings({
  configKey: secret(
    z
      .string()
      .transform((text) => text.split(','))
      .pipe(z.array(z.string().min(32, 'at least 32 characters')))
      .describe(
        'what secrets are encrypted with; newest first, separated by commas: older ones still open what they sealed',
      ),
  ),
  configClients: secret(
    z
      .string()
      .transform(clientsFromText)
      .default({})
      .describe('who may ask, {"service":"password"}; give a file by CONFIG_CLIENTS_FILE'),
  ),
}) {}

/** What is wrong is told by place and never by content: the text holds passwords. */
function clientsFromText(text: string, context: z.RefinementCtx): Record<string, string> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    context.addIssue('is not JSON');
    return z.NEVER;
  }
  const clients = z.record(z.string(), Password).safeParse(json);
  if (clients.success) return clients.data;
  for (const { path, message } of clients.error.issues)
    context.addIssue(path.length > 0 ? `${path.join('.')}: ${message}` : message);
  return z.NEVER;
}
