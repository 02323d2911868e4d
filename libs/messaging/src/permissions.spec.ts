import { describe, expect, it } from '@jest/globals';
import type { BusDescription } from './grants.ts';
import { permissionsOf, type Permissions } from './permissions.ts';

const described = (service: string, more: Partial<BusDescription> = {}): BusDescription => ({
  ...{ service, contracts: [], calls: [], hears: [], tells: [], door: false },
  ...more,
});
const store = [
  described('door', { door: true }),
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
const all = permissionsOf(store, 'boss');
const shop = all.get('shop')!;
const topic = (of: Permissions, exchange: string) => of.topics.find((one) => one.exchange === exchange)!;
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
    expect(fits(shop.configure, ...others, 'commands', 'retry.500ms', 'amq.default', '')).toEqual([]);
  });

  it('takes messages from its own queues, and not out of its dead letters', () => {
    const names = ['shop.commands', 'shop.dead', 'stock.commands', 'reply.stock.1', 'grants'];
    expect(fits(shop.read, ...names)).toEqual(['shop.commands', 'grants']);
    expect(fits(shop.write, ...names)).not.toContain('grants');
    expect(fits(shop.configure, ...names)).not.toContain('grants');
  });

  it('publishes into the exchanges of all, and never into the default one', () => {
    const exchanges = ['commands', 'events', 'replies', 'retry', 'dead'];
    expect(fits(shop.write, ...exchanges, 'amq.default', 'amq.topic', '')).toEqual(exchanges);
  });

  it('sends what it calls and what is its own, and binds only the latter', () => {
    const { write, read } = topic(shop, 'commands');
    const own = ['shop.buy', 'shop.tidy-up', 'shop.buy@2.0.0'];
    const names = [...own, 'stock.reserve', 'stock.count', 'shop.bought', 'shopXbuy', '#', 'stock.*'];
    expect(fits(write, ...names)).toEqual([...own, 'stock.reserve']);
    expect(fits(read, ...names)).toEqual(own);
  });

  it('announces its own events and what the platform needs, and binds what it hears', () => {
    const { write, read } = topic(shop, 'events');
    const names = ['shop.bought', 'settings.told', 'instances.beat', 'stock.reserved', 'shop.other', '#'];
    expect(fits(write, ...names)).toEqual(['shop.bought', 'settings.told', 'instances.beat']);
    expect(fits(read, ...names)).toEqual(['shop.bought', 'instances.beat', 'stock.reserved']);
  });

  it('answers those who call it, and takes only answers to itself', () => {
    const { write, read } = topic(shop, 'replies');
    const keys = ['reply.door.1', 'reply.boss.1', 'reply.shop.1', 'reply.stock.1', 'reply.shop.*', '#'];
    expect(fits(write, ...keys)).toEqual(keys.slice(0, 3));
    expect(fits(read, ...keys)).toEqual(['reply.shop.1']);
  });

  it('puts away into its own queues alone', () => {
    expect(
      fits(topic(shop, 'retry').write, '500.shop.commands', '500.stock.commands', 'shop.events'),
    ).toEqual(['500.shop.commands']);
    expect(fits(topic(shop, 'retry').read, '500.shop.commands', '#')).toEqual([]);
    const keys = ['shop.dead', 'shop.commands', '*.shop.events', '*.stock.events', 'stock.dead', '#'];
    expect(fits(topic(shop, 'dead').write, ...keys)).toEqual(['shop.dead']);
    expect(fits(topic(shop, 'dead').read, ...keys)).toEqual(['shop.dead', 'shop.commands', '*.shop.events']);
  });

  it('lets the door ask for all that is offered over HTTP, and hear what clients wait for', () => {
    const door = all.get('door')!;
    expect(
      fits(topic(door, 'commands').write, 'shop.buy', 'stock.count', 'shop.outcome', 'stock.reserve'),
    ).toEqual(['shop.buy', 'stock.count', 'shop.outcome']);
    expect(fits(topic(door, 'events').read, 'shop.bought', 'stock.reserved')).toEqual(['shop.bought']);
    expect(topic(door, 'commands').read).toBe('^$');
  });
});
