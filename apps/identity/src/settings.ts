import { environmentOnly, isLoopback, live, secret, settings } from '@jogakbo/service';
import { z } from 'zod';
import { exampleClientId, OpenIdClients } from './openid-clients.ts';
import { Staff } from './staff.ts';

export class IdentitySettings extends settings(
  {
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
    signUpMailsPerRecipient: live(
      z.coerce
        .number()
        .int()
        .min(1)
        .default(3)
        .describe(
          'mails that sign-ups may cause to one address in a day, its subaddresses (name+tag@…) included',
        ),
    ),
    signUpMailsPerNetwork: live(
      z.coerce
        .number()
        .int()
        .min(1)
        .default(100)
        .describe('mails that sign-ups from one network (an IPv4 address, an IPv6 /64) may cause in an hour'),
    ),
    tokenIssuer: environmentOnly(
      z
        .url({ protocol: /^https?$/ })
        .regex(/^https?:\/\/[^/?#]+$/, 'no path, no slash at the end')
        .describe(
          'the public address of the store, https:// outside local mode but for loopback: `iss` of every token, and ' +
            'where members sign in for others',
        ),
    ),
    staff: environmentOnly(
      secret(
        Staff.default([]).describe(
          'accounts that must exist, [{email,name,password,roles}]; give a file by STAFF_FILE',
        ),
      ),
    ),
    oidcClients: environmentOnly(
      secret(
        OpenIdClients.default([]).describe(
          '[{clientId,name,secret?,redirectUris}] who may send members here; give a file by OIDC_CLIENTS_FILE',
        ),
      ),
    ),
  },
  ({ oidcClients, tokenIssuer }, { localMode }) => ({
    tokenIssuer:
      !localMode &&
      tokenIssuer.startsWith('http://') &&
      !isLoopback(new URL(tokenIssuer).hostname) &&
      'must be https:// outside local mode: members send their passwords there',
    oidcClients:
      !localMode &&
      oidcClients.some(({ clientId }) => clientId === exampleClientId) &&
      `has the client \`${exampleClientId}\`, that anybody can be: remove it, or set LOCAL_MODE=true to try it on this machine`,
  }),
) {}
