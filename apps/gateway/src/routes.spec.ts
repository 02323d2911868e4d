import { describe, expect, it } from '@jest/globals';
import { describe as describeContract, service } from '@jogakbo/contract';
import { z } from 'zod';
import { RouteTable } from './routes.ts';

const shop = service('shop');
const nothing = z.object({});
shop.query('list', { input: z.strictObject({}), output: nothing, http: 'GET /v1/cards', access: 'public' });
shop.query('get', {
  input: z.strictObject({ cardId: z.string() }),
  output: nothing,
  http: 'GET /v1/cards/{cardId}',
  access: 'owner',
});
shop.query('current', {
  input: z.strictObject({}),
  output: nothing,
  http: 'GET /v1/cards/current',
  access: 'member',
});
shop.command('set-line', {
  input: z.strictObject({ cardId: z.string(), bookId: z.string() }),
  http: 'PUT /v1/cards/{cardId}/lines/{bookId}',
  access: 'member',
});
shop.query('inside', { input: z.strictObject({}), output: nothing });
const announced = describeContract(shop);
const own = ['GET /health/live'];
const table = new RouteTable([announced], own);
const nameAt = (method: string, path: string, where = table) => {
  const match = where.find(method, path);
  return match.found === 'route' ? match.route.contract.name : match.found;
};

describe('the route table', () => {
  it('finds announced routes, and prefers a fixed segment to a parameter', () => {
    expect(nameAt('GET', '/v1/cards')).toBe('shop.list');
    expect(nameAt('HEAD', '/v1/cards')).toBe('shop.list');
    expect(nameAt('GET', '/v1/cards/current')).toBe('shop.current');
    expect(nameAt('GET', '/v1/cards/7')).toBe('shop.get');
  });

  it('decodes the parameters', () => {
    expect(table.find('PUT', '/v1/cards/a%2Fb/lines/%ED%95%9C')).toMatchObject({
      parameters: { cardId: 'a/b', bookId: '한' },
    });
  });

  it('does not match an empty parameter', () => {
    expect(nameAt('GET', '/v1/cards/')).toBe('nothing');
    expect(nameAt('PUT', '/v1/cards//lines/1')).toBe('nothing');
  });

  it('rejects routes without an access policy, with the reason', () => {
    const requests = announced.requests.map(({ access: _, ...request }) => request);
    const withoutAccess = new RouteTable([{ ...announced, requests }], own);
    expect(withoutAccess.routes).toEqual([]);
    expect(nameAt('GET', '/v1/cards', withoutAccess)).toBe('nothing');
    expect(withoutAccess.refused).toContain('shop.list (GET /v1/cards): no access policy');
    expect(withoutAccess.refused).toHaveLength(4);
  });

  it('lists the other methods of a path', () => {
    expect(table.find('DELETE', '/v1/cards/7')).toEqual({ found: 'other-methods', allow: ['HEAD', 'GET'] });
    expect(table.find('PATCH', '/v1/cards/7/lines/1')).toEqual({ found: 'other-methods', allow: ['PUT'] });
    expect(table.find('POST', '/health/live')).toMatchObject({ found: 'other-methods' });
    expect(nameAt('BREW', '/v1/nothing')).toBe('nothing');
  });

  it('omits requests without a route or an access policy', () => {
    const { requests, ...rest } = announced;
    const { access: _, ...unguarded } = requests.find(({ name }) => name === 'shop.list')!;
    const incomplete = new RouteTable([{ ...rest, requests: [unguarded] }]);
    expect(nameAt('GET', '/v1/cards', incomplete)).toBe('nothing');
    expect(table.routes.map(({ contract }) => contract.name)).not.toContain('shop.inside');
  });

  it('gives a route to its first service, and keeps the own routes of the gateway', () => {
    const other = describeContract(
      (() => {
        const later = service('other');
        const spec = { input: z.strictObject({}), output: nothing, access: 'public' } as const;
        later.query('cards', { ...spec, http: 'GET /v1/cards' });
        later.query('health', { ...spec, http: 'GET /health/live' });
        return later;
      })(),
    );
    const both = new RouteTable([announced, other], own);
    expect(nameAt('GET', '/v1/cards', both)).toBe('shop.list');
    expect(both.refused).toHaveLength(2);
  });

  it('rejects paths in the pattern syntax of the router', () => {
    const { requests, ...rest } = announced;
    const one = requests.find(({ name }) => name === 'shop.list')!;
    for (const path of ['/*', '/:all', '/(.*)', '/v1/{a}{b}', 'v1', '/v1/a?']) {
      const odd = { ...one, http: { ...one.http!, path } };
      expect(new RouteTable([{ ...rest, requests: [odd] }]).refused).toHaveLength(1);
    }
  });

  it('knows a registered route before its service announces itself', () => {
    const registered = new Map(
      ['GET /v1/loans/{loanId}', 'POST /v1/loans', 'GET /login', 'GET /login/*'].map((route) => [
        route,
        { service: 'later' },
      ]),
    );
    const early = new RouteTable([announced], own, [], registered);
    expect(nameAt('GET', '/v1/loans/7', early)).toBe('registered');
    expect(nameAt('HEAD', '/v1/loans/7', early)).toBe('registered');
    expect(nameAt('GET', '/login/a/b', early)).toBe('registered');
    expect(early.find('GET', '/v1/loans')).toEqual({ found: 'other-methods', allow: ['POST'] });
    expect(nameAt('GET', '/v1/unknown', early)).toBe('nothing');
    expect(nameAt('GET', '/v1/cards', early)).toBe('shop.list');
    expect(early.routes).toEqual(table.routes);
    // A service that announced itself without the route does not serve it.
    const here = new Map([['GET /v1/loans', { service: 'shop' }]]);
    expect(nameAt('GET', '/v1/loans', new RouteTable([announced], own, [], here))).toBe('nothing');
  });
});
