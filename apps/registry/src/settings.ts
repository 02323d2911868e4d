import { environmentOnly, settings } from '@jogakbo/service';
import { EndpointList } from '@jogakbo/service/upstream-addresses';
import { rolesSetting } from '@jogakbo/service/workspace-settings';
import { z } from 'zod';

export class RegistrySettings extends settings({
  deniedUpstreams: environmentOnly(
    EndpointList.describe(
      'endpoints of the store that registered instances cannot use, as host:port or host, separated by commas',
    ),
  ),
  roles: rolesSetting,
  shortestRenewal: z.coerce
    .number()
    .positive()
    .default(5)
    .describe('minimum seconds between renewals: three of them must outlast a restart of the registry'),
  instancesPerApp: z.coerce
    .number()
    .int()
    .min(1)
    .max(1_000)
    .default(50)
    .describe('maximum registered instances per app'),
  changesPerApp: z.coerce
    .number()
    .int()
    .min(1)
    .max(10_000)
    .default(120)
    .describe('maximum registrations and changes of instances per minute and app'),
}) {}
