import { describe, expect, it } from '@jest/globals';
import type { BusDescription } from './grants.ts';
import { computePermissions, type Permissions } from './permissions.ts';

const described = (service: string, more: Partial<BusDescription> = {}): BusDescription => ({
  ...{ service, contracts: [], calls: [], hears: [], tells: [], isGateway: false },
  ...more,
});
const store = [
  described('gateway', { isGateway: true }),
  described('shop', {
    contracts: [
      {
        name: 'shop.buy',
        kind: 'command',
        offered: { asks: ['shop.outcome'], hears: ['shop.bought'], routes: ['POST /v1/purchases'] },
      },
      { name: 'shop.tidy-up', kind: 'command' },
      { name: 'shop.bought', kind: 'event' },
    ],
    calls: ['stock.reserve'],
    hears: ['stock.reserved'],
    tells: ['settings.told'],
  }),
  described('stock', {
    contracts: [
      { name: 'stock.reserve', kind: 'command' },
      { name: 'stock.count', kind: 'query', offered: { asks: [], hears: [], routes: [] } },
      { name: 'stock.reserved', kind: 'event' },
    ],
  }),
];
const all = computePermissions(store, 'boss');
const shop = all.get('shop')!;
const topic = (of: Permissions, exchange: string) => of.topics.find((one) => one.exchange === exchange)!;
/** Each exchange of each receiver. */
const everyExchange = ['requests', 'events', 'replies', 'retry', 'dead'].flatMap((family) =>
  ['gateway', 'shop', 'stock', 'boss', 'instances', 'settings', 'shopX'].map((name) => `${family}.${name}`),
);
const fits = (pattern: string, ...names: string[]) => names.filter((name) => new RegExp(pattern).test(name));

describe('what a login may do', () => {
  it('makes its own queues, those of a version too, and nobody else’s', () => {
    const own = ['shop.commands', 'shop.queries', 'shop.events', 'shop.dead', 'shop.commands@1.4.0-rc.1'];
    const fleeting = ['reply.shop.0190-a', 'hearing.shop.0190-b'];
    expect(fits(shop.configure, ...own, ...fleeting)).toEqual([...own, ...fleeting]);
    const others = [
      'stock.commands',
      'workshop.commands',
      'shop.commandsx',
      'shopXcommands',
      'reply.stock.1',
    ];
    const given = [...everyExchange, 'retry.shop.500ms', 'amq.default', ''];
    expect(fits(shop.configure, ...others, ...given)).toEqual([]);
  });

  it('takes messages from its own queues, and not out of its dead letters', () => {
    const names = ['shop.commands', 'shop.dead', 'stock.commands', 'reply.stock.1', 'grants'];
    expect(fits(shop.read, ...names)).toEqual(['shop.commands', 'grants']);
    expect(fits(shop.write, ...names)).not.toContain('grants');
    expect(fits(shop.configure, ...names)).not.toContain('grants');
  });

  it('writes to the exchanges of those that it calls and answers, and to its own', () => {
    expect(fits(shop.write, ...everyExchange, 'amq.default', 'amq.topic', '').sort()).toEqual([
      ...['dead.shop', 'events.instances', 'events.settings', 'events.shop'],
      ...['replies.boss', 'replies.gateway', 'replies.shop'],
      ...['requests.shop', 'requests.stock', 'retry.shop'],
    ]);
  });

  it('binds to its own exchanges, and to those of the services that it hears', () => {
    expect(fits(shop.read, ...everyExchange, 'amq.topic', '').sort()).toEqual([
      ...['dead.shop', 'events.instances', 'events.shop', 'events.stock', 'replies.shop', 'requests.shop'],
    ]);
  });

  it('limits the keys of every exchange that it names: without an entry the broker allows each key', () => {
    for (const one of all.values())
      for (const exchange of everyExchange) {
        const { write, read } = topic(one, exchange) ?? { write: '^$', read: '^$' };
        expect([exchange, write === '^$']).toEqual([exchange, fits(one.write, exchange).length === 0]);
        expect([exchange, read === '^$']).toEqual([exchange, fits(one.read, exchange).length === 0]);
      }
  });

  it('sends what it calls and what is its own, and binds only the latter', () => {
    const { write, read } = topic(shop, 'requests.shop');
    const own = ['shop.buy', 'shop.tidy-up', 'shop.buy@2.0.0'];
    const names = [...own, 'stock.reserve', 'stock.count', 'shop.bought', 'shopXbuy', '#', 'stock.*'];
    expect(fits(write, ...names)).toEqual(own);
    expect(fits(read, ...names)).toEqual(own);
    expect(fits(topic(shop, 'requests.stock').write, ...names)).toEqual(['stock.reserve']);
    expect(topic(shop, 'requests.stock').read).toBe('^$');
  });

  it('announces its own events and what the platform needs, and binds what it hears', () => {
    const names = ['shop.bought', 'settings.told', 'instances.beat', 'stock.reserved', 'shop.other', '#'];
    const keys = (of: 'write' | 'read') =>
      ['shop', 'stock', 'instances', 'settings'].map((owner) =>
        fits(topic(shop, `events.${owner}`)[of], ...names),
      );
    expect(keys('write')).toEqual([['shop.bought'], [], ['instances.beat'], ['settings.told']]);
    expect(keys('read')).toEqual([['shop.bought'], ['stock.reserved'], ['instances.beat'], []]);
  });

  it('answers those who call it, and takes only answers to itself', () => {
    const names = ['reply.gateway.1', 'reply.boss.1', 'reply.shop.1', 'reply.stock.1', 'reply.shop.*', '#'];
    for (const caller of ['gateway', 'boss', 'shop'])
      expect(fits(topic(shop, `replies.${caller}`).write, ...names)).toEqual([`reply.${caller}.1`]);
    expect(topic(shop, 'replies.stock')).toBeUndefined();
    expect(fits(topic(shop, 'replies.shop').read, ...names)).toEqual(['reply.shop.1']);
  });

  it('puts away into its own queues alone', () => {
    expect(
      fits(topic(shop, 'retry.shop').write, '500.shop.commands', '500.stock.commands', 'shop.events'),
    ).toEqual(['500.shop.commands']);
    expect(fits(topic(shop, 'retry.shop').read, '500.shop.commands', '#')).toEqual([]);
    const keys = ['shop.dead', 'shop.commands', '*.shop.events', '*.stock.events', 'stock.dead', '#'];
    expect(fits(topic(shop, 'dead.shop').write, ...keys)).toEqual(['shop.dead']);
    expect(fits(topic(shop, 'dead.shop').read, ...keys)).toEqual([
      ...['shop.dead', 'shop.commands', '*.shop.events'],
    ]);
  });

  it('lets the gateway ask for all that is offered over HTTP, and hear what clients wait for', () => {
    const gateway = all.get('gateway')!;
    const names = [
      'shop.buy',
      'stock.count',
      'shop.outcome',
      'stock.reserve',
      'shop.bought',
      'stock.reserved',
    ];
    const keys = (owner: string) => fits(topic(gateway, `requests.${owner}`).write, ...names);
    expect([keys('shop'), keys('stock')]).toEqual([['shop.buy', 'shop.outcome'], ['stock.count']]);
    expect(fits(topic(gateway, 'events.shop').read, ...names)).toEqual(['shop.bought']);
    expect(topic(gateway, 'events.stock')).toBeUndefined();
    expect(topic(gateway, 'requests.gateway')).toBeUndefined();
  });
});
