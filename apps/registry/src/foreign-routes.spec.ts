import { describe, expect, it } from '@jest/globals';
import { BadMetadata, findConflict, buildContract, findUngranted, listRoutes } from './foreign-routes.ts';

const hello = (routes: string, access = 'public') => buildContract('hello', { routes, access });

describe('the contract of an external service', () => {
  it('is built from the routes in its metadata', () => {
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

  it('has a distinct name for each route', () => {
    const names = hello('GET /a-b; GET /a/b; GET /a/{b}; GET /{a}/b; DELETE /a/b').requests.map(
      ({ name }) => name,
    );
    expect(new Set(names).size).toBe(5);
  });

  it('has no requests if the metadata have no routes', () => {
    expect(buildContract('hello', {}).requests).toEqual([]);
  });

  it.each([
    ['hello', 'is invalid'],
    ['GET hello', 'is invalid'],
    ['get /hello', 'is invalid'],
    ['BREW /hello', 'is invalid'],
    ['GET /hello/*', 'is invalid'],
    ['GET /hello/:name', 'is invalid'],
    ['GET /hello/{a}{b}', 'is invalid'],
    ['GET /', 'is invalid'],
    ['GET /hello?x=1', 'is invalid'],
    ['GET /v1/../hello', 'contains . or ..'],
    ['GET /hello/{a}/{a}', 'duplicate parameter'],
    ['GET /hello/{a}; GET /hello/{b}', 'duplicates'],
    ['GET /.well-known/jwks.json', 'is reserved'],
    ['GET /health', 'is reserved'],
    [Array.from({ length: 101 }, (_, n) => `GET /v1/${n}`).join(';'), 'at most 100'],
  ])('rejects %s', (routes, reason) => {
    expect(() => hello(routes)).toThrow(BadMetadata);
    expect(() => hello(routes)).toThrow(reason);
  });

  it.each(['', 'everybody', 'Public'])('rejects the access policy %p', (access) => {
    expect(() => hello('GET /v1/hello', access)).toThrow('access: must be one of public, member');
  });

  it('accepts the roles of the workspace as access policies', () => {
    const metadata = { routes: 'GET /v1/hello', access: 'taster' };
    expect(buildContract('hello', metadata, ['taster']).requests).toMatchObject([{ access: 'taster' }]);
    expect(() => buildContract('hello', metadata, ['tester'])).toThrow('operator, tester: ');
  });

  it.each([
    ['GET /v1/hello', 'public', 'low'],
    ['POST /v1/hello', 'public', 'normal'],
    ['GET /v1/hello', 'member', 'normal'],
    ['POST /v1/hello', 'member', 'high'],
  ])('gives %s of access %s the priority %s', (route, access, priority) => {
    expect(hello(route, access).requests).toMatchObject([{ priority }]);
  });
});

describe('a conflict of routes', () => {
  const taken = ['GET /v1/loans', 'GET /v1/loans/{loanId}', 'POST /v1/loans/{loanId}/cancellation'];

  it.each([
    ['GET /v1/loans', 'GET /v1/loans'],
    ['GET /v1/loans/{id}', 'GET /v1/loans/{loanId}'],
    ['GET /v1/loans/latest', 'GET /v1/loans/{loanId}'],
    ['GET /v1/{what}', 'GET /v1/loans'],
    ['GET /{a}/{b}/{c}', 'GET /v1/loans/{loanId}'],
    ['POST /v1/loans/7/{verb}', 'POST /v1/loans/{loanId}/cancellation'],
  ])('%s conflicts with %s', (claim, holder) => {
    expect(findConflict([claim], taken)).toEqual([claim, holder]);
  });

  it.each(['GET /oidc', 'GET /oidc/login', 'DELETE /oidc/a/b', 'GET /{what}/login', 'POST /{what}'])(
    '%s conflicts with pages',
    (claim) => {
      const pages = listRoutes({
        ...buildContract('identity', {}),
        requests: [{ pages: { path: '/oidc', cookies: 'oidc' }, access: 'public' } as never],
      });
      expect(findConflict([claim], pages)).toEqual([claim, '* /oidc/*']);
      expect(findConflict(['GET /v1/oidc', 'GET /oidc2'], pages)).toBeUndefined();
    },
  );

  it.each(['POST /v1/loans', 'GET /v1/loan', 'GET /v1/loans/{id}/lines', 'GET /v1', 'GET /v2/loans'])(
    '%s conflicts with no route',
    (claim) => expect(findConflict([claim], taken)).toBeUndefined(),
  );
});

describe('granted routes', () => {
  const granted = ['GET /v1/hello', 'GET /v1/hello/{name}', 'POST /v1/{a}/b'];

  it.each(['GET /v1/hello', 'GET /v1/hello/{who}', 'GET /v1/hello/kim', 'POST /v1/x/b', 'POST /v1/{x}/b'])(
    'include %s',
    (claim) => expect(findUngranted([claim], granted)).toBeUndefined(),
  );

  it.each([
    ...['POST /v1/hello', 'GET /v1/hello/{a}/{b}', 'GET /v1/{hello}', 'GET /v1/{x}/{y}', 'GET /v1/hello2'],
    ...['DELETE /v1/x/b', 'POST /v1/x/{b}'],
  ])('do not include %s', (claim) => expect(findUngranted(['GET /v1/hello', claim], granted)).toBe(claim));
});
