import { environmentOnly, isLoopback, live, secret, settings } from '@jogakbo/service';
import { languagesSetting, rolesSetting } from '@jogakbo/service/workspace-settings';
import { z } from 'zod';
import { exampleClientId, OpenIdClients } from './openid-clients.ts';
import { findStaffProblem, Staff } from './staff.ts';

export class IdentitySettings extends settings(
  {
    refreshGrace: live(
      z.coerce
        .number()
        .min(0)
        .max(60)
        .default(10)
        .describe(
          'seconds in which a used refresh token returns its successor again; afterwards it ends the session',
        ),
    ),
    sessionDays: live(
      z.coerce
        .number()
        .positive()
        .max(3_650)
        .default(90)
        .describe('days until a session expires, regardless of refreshes'),
    ),
    signUpMailsPerRecipient: live(
      z.coerce
        .number()
        .int()
        .min(1)
        .default(3)
        .describe('mails per day to one address caused by sign-ups, including its subaddresses (name+tag@…)'),
    ),
    signUpMailsPerNetwork: live(
      z.coerce
        .number()
        .int()
        .min(1)
        .default(100)
        .describe('mails per hour caused by sign-ups from one network (an IPv4 address or an IPv6 /64)'),
    ),
    tokenIssuer: environmentOnly(
      z
        .url({ protocol: /^https?$/ })
        .regex(/^https?:\/\/[^/?#]+$/, 'must be an origin: no path, no trailing slash')
        .describe(
          'the public address of the store: `iss` of every token, and the address of the OpenID Connect pages; https:// ' +
            'outside local mode, except for loopback',
        ),
    ),
    languages: languagesSetting,
    roles: rolesSetting,
    staff: environmentOnly(
      secret(
        Staff.default([]).describe(
          'staff accounts to create at start, [{email,name,password,roles}]; STAFF_FILE names a file with them',
        ),
      ),
    ),
    oidcClients: environmentOnly(
      secret(
        OpenIdClients.default([]).describe(
          'OpenID Connect clients, [{clientId,name,secret?,redirectUris}]; OIDC_CLIENTS_FILE names a file with them',
        ),
      ),
    ),
  },
  ({ oidcClients, tokenIssuer, staff, roles }, { localMode }) => ({
    staff: findStaffProblem(staff, roles),
    tokenIssuer:
      !localMode &&
      tokenIssuer.startsWith('http://') &&
      !isLoopback(new URL(tokenIssuer).hostname) &&
      'must be https:// outside local mode: members send their passwords there',
    oidcClients:
      !localMode &&
      oidcClients.some(({ clientId }) => clientId === exampleClientId) &&
      `has the client \`${exampleClientId}\`, which any app can impersonate: remove it, or set LOCAL_MODE=true to try it on this machine`,
  }),
) {}
