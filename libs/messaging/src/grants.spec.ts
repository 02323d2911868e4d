import { describe, expect, it } from '@jest/globals';
import { Grants, resolveGrants, type BusDescription } from './grants.ts';

const create = (service: string, routes: string[], more: Partial<BusDescription> = {}): BusDescription => ({
  ...{ service, calls: [], subscribesTo: [], publishes: [], isGateway: false },
  contracts: routes.map((route, at) => ({
    ...{ name: `${service}.get-${at}`, kind: 'query' as const },
    offered: { asks: [], subscribesTo: [], routes: [route], access: 'member' },
  })),
  ...more,
});
const getHolders = (services: BusDescription[]) =>
  Object.fromEntries([...new Grants(services).routes].map(([route, { service }]) => [route, service]));

describe('the holder of a route', () => {
  const shop = create('shop', ['GET /v1/loans', 'GET /v1/loans/{id}']);
  const none = { services: [], refused: [] };

  it.each([
    ['the same one', 'GET /v1/loans'],
    ['one with another parameter name', 'GET /v1/loans/{name}'],
    ['one that matches some of its requests', 'GET /v1/loans/mine'],
    ['pages above it', 'GET /v1/*'],
  ])('is the service that had it first, if another one claims %s', (_, claim) => {
    // Its name sorts first, and it was not registered before.
    const evil = create('evil', [claim]);
    const { services, refused } = resolveGrants([evil, shop], [shop], []);
    expect(getHolders(services)).toEqual({ 'GET /v1/loans': 'shop', 'GET /v1/loans/{id}': 'shop' });
    expect(refused).toEqual([{ route: claim, service: 'evil', holder: 'shop' }]);
    // The refused route was not registered, so the result is stable.
    expect(getHolders(resolveGrants([evil, shop], services, []).services)).toEqual(getHolders(services));
  });

  it('changes once the previous service removes the route, or is removed', () => {
    const heir = create('heir', ['GET /v1/loans']);
    const smaller = create('shop', ['GET /v1/loans/{id}']);
    const { services } = resolveGrants([heir, smaller], [shop], []);
    expect(getHolders(services)).toEqual({ 'GET /v1/loans': 'heir', 'GET /v1/loans/{id}': 'shop' });
    expect(resolveGrants([heir], [shop], ['heir']).refused).toEqual([]);
  });

  it('does not change if the service exists but its build is missing', () => {
    const { services, refused } = resolveGrants([], [shop], ['shop']);
    expect(getHolders(services)).toEqual(getHolders([shop]));
    expect(refused).toEqual(none.refused);
  });

  it('is not affected by another method, another path, or the service itself', () => {
    const other = create('other', ['POST /v1/loans', 'GET /v1/loans/{id}/lines', 'GET /v2/loans']);
    const own = create('shop', ['GET /v1/loans/{id}', 'GET /v1/loans/mine']);
    expect(resolveGrants([other, own], [], []).refused).toEqual([]);
  });
});

describe('permissions', () => {
  const grants = new Grants([
    create('gateway', [], { isGateway: true }),
    create('shop', ['GET /v1/loans'], { calls: ['tomes.reserve'], subscribesTo: ['tomes.reserved'] }),
    {
      ...create('tomes', []),
      contracts: [
        { name: 'tomes.reserve', kind: 'command' },
        { name: 'tomes.change', kind: 'command' },
      ],
    },
  ]);

  it('allow a service its declared calls, and the gateway the offered requests', () => {
    expect(grants.mayCall('shop', 'tomes.reserve')).toBe(true);
    expect(grants.mayCall('shop', 'tomes.change')).toBe(false);
    expect(grants.mayCall('gateway', 'shop.get-0')).toBe(true);
    expect(grants.mayCall('gateway', 'tomes.reserve')).toBe(false);
    expect(grants.mayCall('tomes', 'shop.get-0')).toBe(false);
  });

  it('allow a service its declared events, and identify the gateway', () => {
    expect([
      grants.maySubscribe('shop', 'tomes.reserved'),
      grants.maySubscribe('tomes', 'tomes.other'),
    ]).toEqual([...[true, false]]);
    expect([grants.isGateway('gateway'), grants.isGateway('shop'), grants.isGateway('other')]).toEqual([
      ...[true, false, false],
    ]);
    expect([grants.isService('shop'), grants.isService('other')]).toEqual([true, false]);
  });
});

describe('the registered encryption keys of a service', () => {
  const key = (letter: string) => ({
    ...{ kty: 'OKP' as const, crv: 'X25519' as const, x: letter.repeat(43), kid: letter.repeat(43) },
  });
  const getShopKeys = (services: BusDescription[]) => new Grants(services).getKeys('shop');

  it('are the ones given to the deploy step, else the previous ones, never those of a build', () => {
    const shop = create('shop', [], { encryptionKeys: [key('e')] });
    expect(getShopKeys(resolveGrants([shop], [], []).services)).toEqual([]);
    const given = new Map([['shop', [key('a')]]]);
    const { services } = resolveGrants([shop], [], [], given);
    expect(getShopKeys(services)).toEqual([key('a')]);
    expect(getShopKeys(resolveGrants([shop], services, []).services)).toEqual([key('a')]);
    const rotated = new Map([['shop', [key('b'), key('a')]]]);
    expect(getShopKeys(resolveGrants([shop], services, [], rotated).services)).toEqual([key('b'), key('a')]);
  });
});

describe('a route with a parameter', () => {
  it('keeps its holder when the holder renames the parameter', () => {
    const before = create('shop', ['GET /v1/loans/{id}']);
    const renamed = create('shop', ['GET /v1/loans/{loanId}']);
    const evil = create('evil', ['GET /v1/loans/{name}']);
    expect(resolveGrants([evil, renamed], [before], []).refused).toEqual([
      { route: 'GET /v1/loans/{name}', service: 'evil', holder: 'shop' },
    ]);
  });

  it.each(['PUT /{any}', 'GET /{any}/{other}', 'POST /forms'])(
    '%s overlaps with pages below /forms',
    (route) => {
      const pages = create('forms', ['GET /forms/*', 'POST /forms/*']);
      const evil = create('evil', [route]);
      expect(resolveGrants([evil, pages], [pages], []).refused).toEqual([
        { route, service: 'evil', holder: 'forms' },
      ]);
    },
  );
});
