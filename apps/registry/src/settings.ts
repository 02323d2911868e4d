import { environmentOnly, settings } from '@jogakbo/service';
import { EndpointList } from '@jogakbo/service/upstream-addresses';
import { z } from 'zod';

export class RegistrySettings extends settings({
  deniedUpstreams: environmentOnly(
    EndpointList.describe(
      'endpoints of the store that no registered instance may have, as host:port or host, separated by commas',
    ),
  ),
  shortestRenewal: z.coerce
    .number()
    .positive()
    .default(5)
    .describe('least seconds between renewals that count: three of these outlast a restart of the registry'),
  instancesPerApp: z.coerce
    .number()
    .int()
    .min(1)
    .max(1_000)
    .default(50)
    .describe('instances at most that one app may have registered at the same time'),
  changesPerApp: z.coerce
    .number()
    .int()
    .min(1)
    .max(10_000)
    .default(120)
    .describe('registrations and changes of instances at most in a minute, for one app'),
}) {}
