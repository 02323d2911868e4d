import { Grants, type KnownGrants } from '@jogakbo/messaging';
import type { DatabaseSettings, PlatformSettings } from '@jogakbo/service';
import { describe, expect, it } from '@jest/globals';
import type { ContractHistory } from './contract-history.ts';
import type { Directory } from './directory.ts';
import type { RegistrationLimits } from './registration-limits.ts';
import { Registration } from './registration.ts';
import type { RegistrySettings } from './settings.ts';

const announced = {
  service: 'search',
  contract: {
    service: 'search',
    description: '',
    events: [],
    requests: [{ name: 'search.hello', access: 'public', http: { method: 'GET', path: '/v1/hello/{name}' } }],
  },
};
const offered = (...routes: string[]) => ({ asks: [], subscribesTo: [], routes, access: 'public' });
const grants = new Grants([
  {
    service: 'shop',
    calls: [],
    subscribesTo: [],
    publishes: [],
    isGateway: false,
    contracts: [
      { name: 'shop.list', kind: 'query', offered: offered('GET /v1/things') },
      { name: 'shop.page', kind: 'query', offered: offered('GET /oidc/*', 'POST /oidc/*') },
    ],
  },
]);

const open = (enforced: boolean) =>
  new Registration(
    { own: [announced], onChange: () => () => {} } as unknown as Directory,
    {} as ContractHistory,
    {} as RegistrationLimits,
    { deniedUpstreams: [] } as unknown as RegistrySettings,
    { hasLoginPerService: enforced, current: grants } as unknown as KnownGrants,
    { rabbitmqUrl: 'amqp://127.0.0.1' } as PlatformSettings,
    { databaseUrl: 'postgres://127.0.0.1' } as DatabaseSettings,
  );

describe('a route', () => {
  it('is taken if the deploy step registered it, not if a service only announces it', () => {
    const registration = open(true);
    expect(registration.findConflict(['GET /v1/hello/{name}'])).toBeUndefined();
    for (const route of ['GET /v1/things', 'GET /v1/{any}', 'PUT /oidc/x', 'GET /oidc/x'])
      expect(registration.findConflict([route])).toContain('registered by a service of this store');
    expect([registration.isOwnService('shop'), registration.isOwnService('search')]).toEqual([true, false]);
  });

  it('is taken if a service announces it, without a broker login per service', () => {
    expect(open(false).findConflict(['GET /v1/hello/{name}'])).toContain('announced by search');
    expect(open(false).findConflict(['GET /v1/things'])).toBeUndefined();
  });
});
