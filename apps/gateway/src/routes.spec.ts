import { describe, expect, it } from '@jest/globals';
import { describe as describeContract, service } from '@jogakbo/contract';
import { z } from 'zod';
import { RouteTable } from './routes.ts';

const shop = service('shop');
const nothing = z.object({});
shop.query('list', { input: z.strictObject({}), output: nothing, http: 'GET /v1/carts', access: 'public' });
shop.query('get', {
  input: z.strictObject({ cartId: z.string() }),
  output: nothing,
  http: 'GET /v1/carts/{cartId}',
  access: 'owner',
});
shop.query('current', {
  input: z.strictObject({}),
  output: nothing,
  http: 'GET /v1/carts/current',
  access: 'member',
});
shop.command('set-line', {
  input: z.strictObject({ cartId: z.string(), productId: z.string() }),
  http: 'PUT /v1/carts/{cartId}/lines/{productId}',
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
  it('finds what is announced, the fixed path before the parameter', () => {
    expect(nameAt('GET', '/v1/carts')).toBe('shop.list');
    expect(nameAt('HEAD', '/v1/carts')).toBe('shop.list');
    expect(nameAt('GET', '/v1/carts/current')).toBe('shop.current');
    expect(nameAt('GET', '/v1/carts/7')).toBe('shop.get');
  });

  it('gives the parameters, decoded', () => {
    expect(table.find('PUT', '/v1/carts/a%2Fb/lines/%ED%95%9C')).toMatchObject({
      parameters: { cartId: 'a/b', productId: '한' },
    });
  });

  it('has no route for an empty parameter', () => {
    expect(nameAt('GET', '/v1/carts/')).toBe('nothing');
    expect(nameAt('PUT', '/v1/carts//lines/1')).toBe('nothing');
  });

  it('has no route that does not say who may use it, and says so', () => {
    const requests = announced.requests.map(({ access: _, ...request }) => request);
    const open = new RouteTable([{ ...announced, requests }], own);
    expect(open.routes).toEqual([]);
    expect(nameAt('GET', '/v1/carts', open)).toBe('nothing');
    expect(open.refused).toContain('shop.list (GET /v1/carts): it does not say who may use it');
    expect(open.refused).toHaveLength(4);
  });

  it('says which other methods a path has', () => {
    expect(table.find('DELETE', '/v1/carts/7')).toEqual({ found: 'other-methods', allow: ['HEAD', 'GET'] });
    expect(table.find('PATCH', '/v1/carts/7/lines/1')).toEqual({ found: 'other-methods', allow: ['PUT'] });
    expect(table.find('POST', '/health/live')).toMatchObject({ found: 'other-methods' });
    expect(nameAt('BREW', '/v1/nothing')).toBe('nothing');
  });

  it('leaves out what has no route or no policy', () => {
    const { requests, ...rest } = announced;
    const { access: _, ...unguarded } = requests.find(({ name }) => name === 'shop.list')!;
    const careless = new RouteTable([{ ...rest, requests: [unguarded] }]);
    expect(nameAt('GET', '/v1/carts', careless)).toBe('nothing');
    expect(table.routes.map(({ contract }) => contract.name)).not.toContain('shop.inside');
  });

  it('gives a route to the first who announces it, and never the own ones away', () => {
    const thief = describeContract(
      (() => {
        const evil = service('thief');
        const spec = { input: z.strictObject({}), output: nothing, access: 'public' } as const;
        evil.query('carts', { ...spec, http: 'GET /v1/carts' });
        evil.query('health', { ...spec, http: 'GET /health/live' });
        return evil;
      })(),
    );
    const both = new RouteTable([announced, thief], own);
    expect(nameAt('GET', '/v1/carts', both)).toBe('shop.list');
    expect(both.refused).toHaveLength(2);
  });

  it('takes no patterns of the router from outside', () => {
    const { requests, ...rest } = announced;
    const one = requests.find(({ name }) => name === 'shop.list')!;
    for (const path of ['/*', '/:all', '/(.*)', '/v1/{a}{b}', 'v1', '/v1/a?']) {
      const odd = { ...one, http: { ...one.http!, path } };
      expect(new RouteTable([{ ...rest, requests: [odd] }]).refused).toHaveLength(1);
    }
  });

  it('knows a registered route before its service is heard of', () => {
    const registered = new Map(
      ['GET /v1/orders/{orderId}', 'POST /v1/orders', 'GET /login', 'GET /login/*'].map((route) => [
        route,
        { service: 'later' },
      ]),
    );
    const early = new RouteTable([announced], own, [], registered);
    expect(nameAt('GET', '/v1/orders/7', early)).toBe('registered');
    expect(nameAt('HEAD', '/v1/orders/7', early)).toBe('registered');
    expect(nameAt('GET', '/login/a/b', early)).toBe('registered');
    expect(early.find('GET', '/v1/orders')).toEqual({ found: 'other-methods', allow: ['POST'] });
    expect(nameAt('GET', '/v1/unknown', early)).toBe('nothing');
    expect(nameAt('GET', '/v1/carts', early)).toBe('shop.list');
    expect(early.routes).toEqual(table.routes);
    // A service that is there and does not speak of a route does not have it.
    const here = new Map([['GET /v1/orders', { service: 'shop' }]]);
    expect(nameAt('GET', '/v1/orders', new RouteTable([announced], own, [], here))).toBe('nothing');
  });
});
