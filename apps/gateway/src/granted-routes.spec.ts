import { describe, expect, it } from '@jest/globals';
import type { ServiceDescription } from '@jogakbo/contract';
import type { GrantedRoute } from '@jogakbo/messaging/grants';
import { filterGrantedRoutes } from './granted-routes.ts';

const routes = new Map<string, GrantedRoute>([
  ['GET /v1/loans', { service: 'shop', request: 'shop.list', access: 'member' }],
  ['POST /v1/recalls', { service: 'shop', request: 'shop.recall', access: 'operator' }],
  ['GET /oidc/*', { service: 'identity', request: 'identity.page', access: 'public' }],
  ['POST /oidc/*', { service: 'identity', request: 'identity.page', access: 'public' }],
]);
const grants = {
  routes,
  mayCall: (login: string, name: string) => login === 'gateway' && name === 'shop.read',
  maySubscribe: (login: string, name: string) => login === 'gateway' && name === 'shop.done',
};
const request = (name: string, route: string, access = 'member') => {
  const [method, path] = route.split(' ');
  return { name, access, http: { method, path, parameters: [], status: 200 } };
};
function filter(service: string, ...requests: object[]) {
  const refused: string[] = [];
  const contract = { service, description: '', events: [], requests } as unknown as ServiceDescription;
  const { requests: granted } = filterGrantedRoutes(contract, grants, 'gateway', (what) =>
    refused.push(what),
  );
  return {
    refused,
    granted: granted.map(({ name, access, http, pages }) => [name, access, http?.path ?? pages?.path]),
  };
}

describe('the routes of a service', () => {
  it('are those registered for it', () => {
    expect(filter('shop', request('shop.list', 'GET /v1/loans'), { name: 'shop.tidy' })).toEqual({
      refused: [],
      granted: [
        ['shop.list', 'member', '/v1/loans'],
        ['shop.tidy', undefined, undefined],
      ],
    });
  });

  it('have the registered priority, whatever the service announces', () => {
    const high = { ...request('shop.list', 'GET /v1/loans'), priority: 'high' };
    const granted = (priority?: 'low') => {
      const own = new Map(routes).set('GET /v1/loans', { ...routes.get('GET /v1/loans')!, priority });
      const contract = { service: 'shop', description: '', events: [], requests: [high] };
      const filtered = filterGrantedRoutes(
        contract as unknown as ServiceDescription,
        { ...grants, routes: own },
        'gateway',
        () => undefined,
      );
      return filtered.requests[0]!.priority;
    };
    expect(granted('low')).toBe('low');
    expect(granted()).toBeUndefined();
  });

  it('are rejected and reported if registered for another service, for another request, or for none', () => {
    const wrong = [
      request('search.take', 'GET /v1/loans'),
      request('search.new', 'GET /v1/new', 'public'),
      { name: 'search.pages', access: 'public', pages: { path: '/oidc', cookies: 'abc' } },
    ];
    expect(filter('search', ...wrong)).toEqual({
      refused: [
        'search.take (GET /v1/loans): registered for shop.list',
        'search.new (GET /v1/new): not registered',
        'search.pages (GET /oidc/*): registered for identity.page',
      ],
      granted: wrong.map(({ name }) => [name, undefined, undefined]),
    });
    expect(filter('shop', request('shop.recall', 'GET /v1/loans')).refused).toEqual([
      'shop.recall (GET /v1/loans): registered for shop.list',
    ]);
  });

  it('have the registered access policy, not the announced one', () => {
    expect(filter('shop', request('shop.recall', 'POST /v1/recalls', 'public')).granted).toEqual([
      ['shop.recall', 'operator', '/v1/recalls'],
    ]);
  });

  it('support Prefer: wait only if the gateway may receive the events and send the query', () => {
    const waiting = (answer: string, ...events: string[]) => {
      const wait = { key: 'id', until: events.map((event) => ({ event })), answer, status: 200 };
      const { http, ...rest } = request('shop.list', 'GET /v1/loans');
      const refused: string[] = [];
      const contract = {
        service: 'shop',
        description: '',
        events: [],
        requests: [{ ...rest, http: { ...http, wait } }],
      } as unknown as ServiceDescription;
      const { requests } = filterGrantedRoutes(contract, grants, 'gateway', (what) => refused.push(what));
      return { waits: requests[0]!.http!.wait !== undefined, path: requests[0]!.http!.path, refused };
    };
    expect(waiting('shop.read', 'shop.done')).toEqual({ waits: true, path: '/v1/loans', refused: [] });
    const reasons = ['shop.list: the events and the query for Prefer: wait are not registered'];
    for (const [answer, ...events] of [
      ['shop.read', 'shop.done', 'shop.evil'],
      ['shop.evil', 'shop.done'],
    ] as [string, ...string[]][])
      expect(waiting(answer, ...events)).toEqual({ waits: false, path: '/v1/loans', refused: reasons });
  });
});
