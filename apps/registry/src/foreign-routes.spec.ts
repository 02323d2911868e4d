import { describe, expect, it } from '@jest/globals';
import { BadMetadata, findConflict, buildContract, findUngranted, listRoutes } from './foreign-routes.ts';

const hello = (routes: string, access = 'public') => buildContract('hello', { routes, access });

describe('the contract of a service outside', () => {
  it('is made of the routes that its metadata name', () => {
    const contract = hello(' GET /v1/hello;  POST  /v1/hello/{name} ;');
    expect(listRoutes(contract)).toEqual(['GET /v1/hello', 'POST /v1/hello/{name}']);
    expect(contract.requests[0]).toMatchObject({
      name: 'hello.get-v1-hello',
      kind: 'query',
      access: 'public',
    });
    expect(contract.requests[1]).toMatchObject({
      kind: 'command',
      input: { properties: { name: { type: 'string' } }, required: ['name'] },
      http: { parameters: ['name'] },
    });
  });

  it('has a name for each route', () => {
    const names = hello('GET /a-b; GET /a/b; GET /a/{b}; GET /{a}/b; DELETE /a/b').requests.map(
      ({ name }) => name,
    );
    expect(new Set(names).size).toBe(5);
  });

  it('is empty where there are no routes', () => {
    expect(buildContract('hello', {}).requests).toEqual([]);
  });

  it.each([
    ['hello', 'is not a route'],
    ['GET hello', 'is not a route'],
    ['get /hello', 'is not a route'],
    ['BREW /hello', 'is not a route'],
    ['GET /hello/*', 'is not a route'],
    ['GET /hello/:name', 'is not a route'],
    ['GET /hello/{a}{b}', 'is not a route'],
    ['GET /', 'is not a route'],
    ['GET /hello?x=1', 'is not a route'],
    ['GET /v1/../hello', 'leads elsewhere'],
    ['GET /hello/{a}/{a}', 'a parameter twice'],
    ['GET /hello/{a}; GET /hello/{b}', 'is the same as'],
    ['GET /.well-known/jwks.json', 'is not for services'],
    ['GET /health', 'is not for services'],
    [Array.from({ length: 101 }, (_, n) => `GET /v1/${n}`).join(';'), 'more than 100'],
  ])('refuses %s', (routes, why) => {
    expect(() => hello(routes)).toThrow(BadMetadata);
    expect(() => hello(routes)).toThrow(why);
  });

  it.each(['', 'everybody', 'Public'])('refuses access for %p', (access) => {
    expect(() => hello('GET /v1/hello', access)).toThrow('access: must be one of public, member');
  });
});

describe('a conflict of routes', () => {
  const taken = ['GET /v1/orders', 'GET /v1/orders/{orderId}', 'POST /v1/orders/{orderId}/cancellation'];

  it.each([
    ['GET /v1/orders', 'GET /v1/orders'],
    ['GET /v1/orders/{id}', 'GET /v1/orders/{orderId}'],
    ['GET /v1/orders/latest', 'GET /v1/orders/{orderId}'],
    ['GET /v1/{what}', 'GET /v1/orders'],
    ['GET /{a}/{b}/{c}', 'GET /v1/orders/{orderId}'],
    ['POST /v1/orders/7/{verb}', 'POST /v1/orders/{orderId}/cancellation'],
  ])('%s takes what is of %s', (claim, holder) => {
    expect(findConflict([claim], taken)).toEqual([claim, holder]);
  });

  it.each(['GET /oidc', 'GET /oidc/login', 'DELETE /oidc/a/b', 'GET /{what}/login', 'POST /{what}'])(
    '%s takes what is of pages',
    (claim) => {
      const pages = listRoutes({
        ...buildContract('identity', {}),
        requests: [{ pages: { path: '/oidc', cookies: 'oidc' }, access: 'public' } as never],
      });
      expect(findConflict([claim], pages)).toEqual([claim, '* /oidc/*']);
      expect(findConflict(['GET /v1/oidc', 'GET /oidc2'], pages)).toBeUndefined();
    },
  );

  it.each(['POST /v1/orders', 'GET /v1/order', 'GET /v1/orders/{id}/lines', 'GET /v1', 'GET /v2/orders'])(
    '%s takes nothing',
    (claim) => expect(findConflict([claim], taken)).toBeUndefined(),
  );
});

describe('routes that were granted', () => {
  const granted = ['GET /v1/hello', 'GET /v1/hello/{name}', 'POST /v1/{a}/b'];

  it.each(['GET /v1/hello', 'GET /v1/hello/{who}', 'GET /v1/hello/kim', 'POST /v1/x/b', 'POST /v1/{x}/b'])(
    '%s is one',
    (claim) => expect(findUngranted([claim], granted)).toBeUndefined(),
  );

  it.each([
    ...['POST /v1/hello', 'GET /v1/hello/{a}/{b}', 'GET /v1/{hello}', 'GET /v1/{x}/{y}', 'GET /v1/hello2'],
    ...['DELETE /v1/x/b', 'POST /v1/x/{b}'],
  ])('%s is none', (claim) => expect(findUngranted(['GET /v1/hello', claim], granted)).toBe(claim));
});
