import { secret, settings } from '@jogakbo/service';
import { z } from 'zod';
import { staffFromText } from './staff.ts';

export class IdentitySettings extends settings({
  tokenIssuer: z
    .url({ protocol: /^https?$/ })
    .regex(/^[^?#]*[^/?#]$/, 'no slash at the end, no query, no fragment')
    .default('http://localhost:3000')
    .describe('the public address of the store: `iss` of every token'),
  staff: secret(
    z
      .string()
      .transform(staffFromText)
      .default([])
      .describe('accounts that must exist, [{email,name,password,roles}]; give a file by STAFF_FILE'),
  ),
}) {}
