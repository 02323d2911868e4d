import { settings } from '@jogakbo/service';
import { z } from 'zod';

export class RegistrySettings extends settings({
  registrationSecret: z
    .string()
    .min(16)
    .optional()
    .describe('the password with which instances of others register; without it nobody can'),
  shortestRenewal: z.coerce
    .number()
    .positive()
    .default(5)
    .describe('least seconds between renewals that count: three of these outlast a restart of the registry'),
}) {}
