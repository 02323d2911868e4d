import { describe, expect, it } from '@jest/globals';
import { Grants, registerServices, type BusDescription } from './grants.ts';

const described = (
  service: string,
  routes: string[],
  more: Partial<BusDescription> = {},
): BusDescription => ({
  ...{ service, calls: [], hears: [], tells: [], isGateway: false },
  contracts: routes.map((route, at) => ({
    ...{ name: `${service}.get-${at}`, kind: 'query' as const },
    offered: { asks: [], hears: [], routes: [route], access: 'member' },
  })),
  ...more,
});
const holders = (services: BusDescription[]) =>
  Object.fromEntries([...new Grants(services).routes].map(([route, { service }]) => [route, service]));

describe('whose a route is', () => {
  const shop = described('shop', ['GET /v1/orders', 'GET /v1/orders/{id}']);
  const none = { services: [], refused: [] };

  it.each([
    ['the same one', 'GET /v1/orders'],
    ['one with another name for the parameter', 'GET /v1/orders/{name}'],
    ['one that takes some of its requests', 'GET /v1/orders/mine'],
    ['pages above it', 'GET /v1/*'],
  ])('is the first one’s who had it, where another claims %s', (_, claim) => {
    // Sorted before the other by its name, and not registered before.
    const evil = described('evil', [claim]);
    const { services, refused } = registerServices([evil, shop], [shop], []);
    expect(holders(services)).toEqual({ 'GET /v1/orders': 'shop', 'GET /v1/orders/{id}': 'shop' });
    expect(refused).toEqual([{ route: claim, service: 'evil', holder: 'shop' }]);
    // And stays so, for it was never registered.
    expect(holders(registerServices([evil, shop], services, []).services)).toEqual(holders(services));
  });

  it('is another’s once its service gives it up, or is gone', () => {
    const heir = described('heir', ['GET /v1/orders']);
    const smaller = described('shop', ['GET /v1/orders/{id}']);
    const { services } = registerServices([heir, smaller], [shop], []);
    expect(holders(services)).toEqual({ 'GET /v1/orders': 'heir', 'GET /v1/orders/{id}': 'shop' });
    expect(registerServices([heir], [shop], ['heir']).refused).toEqual([]);
  });

  it('stays with a service that still exists and whose build is missing', () => {
    const { services, refused } = registerServices([], [shop], ['shop']);
    expect(holders(services)).toEqual(holders([shop]));
    expect(refused).toEqual(none.refused);
  });

  it('is not disputed by another method, another path, or the service itself', () => {
    const other = described('other', ['POST /v1/orders', 'GET /v1/orders/{id}/lines', 'GET /v2/orders']);
    const own = described('shop', ['GET /v1/orders/{id}', 'GET /v1/orders/mine']);
    expect(registerServices([other, own], [], []).refused).toEqual([]);
  });
});

describe('who may do what', () => {
  const grants = new Grants([
    described('gateway', [], { isGateway: true }),
    described('shop', ['GET /v1/orders'], { calls: ['stock.reserve'], hears: ['stock.reserved'] }),
    {
      ...described('stock', []),
      contracts: [
        { name: 'stock.reserve', kind: 'command' },
        { name: 'stock.change', kind: 'command' },
      ],
    },
  ]);

  it('calls what it declares, and the gateway what is offered to it', () => {
    expect(grants.mayCall('shop', 'stock.reserve')).toBe(true);
    expect(grants.mayCall('shop', 'stock.change')).toBe(false);
    expect(grants.mayCall('gateway', 'shop.get-0')).toBe(true);
    expect(grants.mayCall('gateway', 'stock.reserve')).toBe(false);
    expect(grants.mayCall('stock', 'shop.get-0')).toBe(false);
  });

  it('hears what it declares, and is the gateway where it says so', () => {
    expect([grants.mayHear('shop', 'stock.reserved'), grants.mayHear('stock', 'stock.other')]).toEqual([
      ...[true, false],
    ]);
    expect([grants.isGateway('gateway'), grants.isGateway('shop'), grants.isGateway('other')]).toEqual([
      ...[true, false, false],
    ]);
    expect([grants.isService('shop'), grants.isService('other')]).toEqual([true, false]);
  });
});

describe('the keys that data for a service may be encrypted with', () => {
  const key = (letter: string) => ({
    ...{ kty: 'OKP' as const, crv: 'X25519' as const, x: letter.repeat(43), kid: letter.repeat(43) },
  });
  const keysIn = (services: BusDescription[]) => new Grants(services).getKeys('shop');

  it('are those that the deploy step is given, else those that it registered before; never those of a build', () => {
    const shop = described('shop', [], { encryptionKeys: [key('e')] });
    expect(keysIn(registerServices([shop], [], []).services)).toEqual([]);
    const given = new Map([['shop', [key('a')]]]);
    const { services } = registerServices([shop], [], [], given);
    expect(keysIn(services)).toEqual([key('a')]);
    expect(keysIn(registerServices([shop], services, []).services)).toEqual([key('a')]);
    const rotated = new Map([['shop', [key('b'), key('a')]]]);
    expect(keysIn(registerServices([shop], services, [], rotated).services)).toEqual([key('b'), key('a')]);
  });
});
