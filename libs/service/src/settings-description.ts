import { z } from 'zod';

/** A setting of a service as data: what the build writes to settings.json, and what documents are rendered from. */
export const SettingDescription = z.object({
  key: z.string(),
  variable: z.string(),
  /** `platform`: every service has it; `database`: every service with a database. */
  group: z.enum(['platform', 'database', 'service']),
  description: z.string(),
  /** Absent if there is none, and of a secret. */
  default: z.string().optional(),
  required: z.boolean(),
  live: z.boolean(),
  secret: z.boolean(),
  environmentOnly: z.boolean(),
});
export type SettingDescription = z.infer<typeof SettingDescription>;
