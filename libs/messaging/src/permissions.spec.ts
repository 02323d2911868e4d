import { describe, expect, it } from '@jest/globals';
import type { BusDescription } from './grants.ts';
import { computePermissions, type Permissions } from './permissions.ts';

const create = (service: string, more: Partial<BusDescription> = {}): BusDescription => ({
  ...{ service, contracts: [], calls: [], subscribesTo: [], publishes: [], isGateway: false },
  ...more,
});
const store = [
  create('gateway', { isGateway: true }),
  create('shop', {
    contracts: [
      {
        name: 'shop.buy',
        kind: 'command',
        offered: { asks: ['shop.outcome'], subscribesTo: ['shop.bought'], routes: ['POST /v1/purchases'] },
      },
      { name: 'shop.tidy-up', kind: 'command' },
      { name: 'shop.bought', kind: 'event' },
    ],
    calls: ['tomes.reserve'],
    subscribesTo: ['tomes.reserved'],
    publishes: ['settings.told'],
  }),
  create('tomes', {
    contracts: [
      { name: 'tomes.reserve', kind: 'command' },
      { name: 'tomes.count', kind: 'query', offered: { asks: [], subscribesTo: [], routes: [] } },
      { name: 'tomes.reserved', kind: 'event' },
    ],
  }),
];
const all = computePermissions(store, 'operator');
const shop = all.get('shop')!;
const getTopic = (of: Permissions, exchange: string) => of.topics.find((one) => one.exchange === exchange)!;
/** Every exchange of every receiver. */
const everyExchange = ['requests', 'events', 'replies', 'retry', 'dead'].flatMap((family) =>
  ['gateway', 'shop', 'tomes', 'operator', 'instances', 'settings', 'shopX'].map(
    (name) => `${family}.${name}`,
  ),
);
const filter = (pattern: string, ...names: string[]) =>
  names.filter((name) => new RegExp(pattern).test(name));

describe('the permissions of a login', () => {
  it('allow it to declare only its own queues, including those of versions', () => {
    const own = ['shop.commands', 'shop.queries', 'shop.events', 'shop.dead', 'shop.commands@1.4.0-rc.1'];
    const transient = ['reply.shop.0190-a', 'hearing.shop.0190-b'];
    expect(filter(shop.configure, ...own, ...transient)).toEqual([...own, ...transient]);
    const others = [
      'tomes.commands',
      'workshop.commands',
      'shop.commandsx',
      'shopXcommands',
      'reply.tomes.1',
    ];
    const given = [...everyExchange, 'retry.shop.500ms', 'amq.default', ''];
    expect(filter(shop.configure, ...others, ...given)).toEqual([]);
  });

  it('allow it to consume its own queues, except its dead letters', () => {
    const names = ['shop.commands', 'shop.dead', 'tomes.commands', 'reply.tomes.1', 'grants'];
    expect(filter(shop.read, ...names)).toEqual(['shop.commands', 'grants']);
    expect(filter(shop.write, ...names)).not.toContain('grants');
    expect(filter(shop.configure, ...names)).not.toContain('grants');
  });

  it('allow it to write to the exchanges of its callees and callers, and to its own', () => {
    expect(filter(shop.write, ...everyExchange, 'amq.default', 'amq.topic', '').sort()).toEqual([
      ...['dead.shop', 'events.instances', 'events.settings', 'events.shop'],
      ...['replies.gateway', 'replies.operator', 'replies.shop'],
      ...['requests.shop', 'requests.tomes', 'retry.shop'],
    ]);
  });

  it('allow it to bind to its own exchanges, and to those of the services that it subscribes to', () => {
    expect(filter(shop.read, ...everyExchange, 'amq.topic', '').sort()).toEqual([
      ...['dead.shop', 'events.instances', 'events.shop', 'events.tomes', 'replies.shop', 'requests.shop'],
    ]);
  });

  it('limit the keys of every permitted exchange, because the broker allows all keys without an entry', () => {
    for (const one of all.values())
      for (const exchange of everyExchange) {
        const { write, read } = getTopic(one, exchange) ?? { write: '^$', read: '^$' };
        expect([exchange, write === '^$']).toEqual([exchange, filter(one.write, exchange).length === 0]);
        expect([exchange, read === '^$']).toEqual([exchange, filter(one.read, exchange).length === 0]);
      }
  });

  it('allow it to send its calls and its own requests, and to bind only the latter', () => {
    const { write, read } = getTopic(shop, 'requests.shop');
    const own = ['shop.buy', 'shop.tidy-up', 'shop.buy@2.0.0'];
    const names = [...own, 'tomes.reserve', 'tomes.count', 'shop.bought', 'shopXbuy', '#', 'tomes.*'];
    expect(filter(write, ...names)).toEqual(own);
    expect(filter(read, ...names)).toEqual(own);
    expect(filter(getTopic(shop, 'requests.tomes').write, ...names)).toEqual(['tomes.reserve']);
    expect(getTopic(shop, 'requests.tomes').read).toBe('^$');
  });

  it('allow it to publish its own and platform events, and to bind its subscriptions', () => {
    const names = ['shop.bought', 'settings.told', 'instances.beat', 'tomes.reserved', 'shop.other', '#'];
    const keys = (of: 'write' | 'read') =>
      ['shop', 'tomes', 'instances', 'settings'].map((owner) =>
        filter(getTopic(shop, `events.${owner}`)[of], ...names),
      );
    expect(keys('write')).toEqual([['shop.bought'], [], ['instances.beat'], ['settings.told']]);
    expect(keys('read')).toEqual([['shop.bought'], ['tomes.reserved'], ['instances.beat'], []]);
  });

  it('allow it to answer its callers, and to receive only its own answers', () => {
    const names = [
      'reply.gateway.1',
      'reply.operator.1',
      'reply.shop.1',
      'reply.tomes.1',
      'reply.shop.*',
      '#',
    ];
    for (const caller of ['gateway', 'operator', 'shop'])
      expect(filter(getTopic(shop, `replies.${caller}`).write, ...names)).toEqual([`reply.${caller}.1`]);
    expect(getTopic(shop, 'replies.tomes')).toBeUndefined();
    expect(filter(getTopic(shop, 'replies.shop').read, ...names)).toEqual(['reply.shop.1']);
  });

  it('allow it to retry and dead-letter only to its own queues', () => {
    expect(
      filter(getTopic(shop, 'retry.shop').write, '500.shop.commands', '500.tomes.commands', 'shop.events'),
    ).toEqual(['500.shop.commands']);
    expect(filter(getTopic(shop, 'retry.shop').read, '500.shop.commands', '#')).toEqual([]);
    const keys = ['shop.dead', 'shop.commands', '*.shop.events', '*.tomes.events', 'tomes.dead', '#'];
    expect(filter(getTopic(shop, 'dead.shop').write, ...keys)).toEqual(['shop.dead']);
    expect(filter(getTopic(shop, 'dead.shop').read, ...keys)).toEqual([
      ...['shop.dead', 'shop.commands', '*.shop.events'],
    ]);
  });

  it('allow the gateway all requests offered over HTTP, and the events that clients wait for', () => {
    const gateway = all.get('gateway')!;
    const names = [
      'shop.buy',
      'tomes.count',
      'shop.outcome',
      'tomes.reserve',
      'shop.bought',
      'tomes.reserved',
    ];
    const keys = (owner: string) => filter(getTopic(gateway, `requests.${owner}`).write, ...names);
    expect([keys('shop'), keys('tomes')]).toEqual([['shop.buy', 'shop.outcome'], ['tomes.count']]);
    expect(filter(getTopic(gateway, 'events.shop').read, ...names)).toEqual(['shop.bought']);
    expect(getTopic(gateway, 'events.tomes')).toBeUndefined();
    expect(getTopic(gateway, 'requests.gateway')).toBeUndefined();
  });
});
