import { live, secret, settings } from '@jogakbo/service';
import { z } from 'zod';
import { OpenIdClients } from './openid-clients.ts';
import { Staff } from './staff.ts';

export class IdentitySettings extends settings({
  refreshGrace: live(
    z.coerce
      .number()
      .min(0)
      .max(60)
      .default(10)
      .describe(
        'seconds in which a used refresh token gives its successor again; after that it ends the session',
      ),
  ),
  sessionDays: live(
    z.coerce
      .number()
      .positive()
      .max(3_650)
      .default(90)
      .describe('days after which a session ends, however often it is refreshed'),
  ),
  tokenIssuer: z
    .url({ protocol: /^https?$/ })
    .regex(/^https?:\/\/[^/?#]+$/, 'no path, no slash at the end')
    .default('http://localhost:3000')
    .describe('the public address of the store: `iss` of every token, and where members sign in for others'),
  staff: secret(
    Staff.default([]).describe(
      'accounts that must exist, [{email,name,password,roles}]; give a file by STAFF_FILE',
    ),
  ),
  oidcClients: secret(
    OpenIdClients.default([]).describe(
      '[{clientId,name,secret?,redirectUris}] who may send members here; give a file by OIDC_CLIENTS_FILE',
    ),
  ),
}) {}
