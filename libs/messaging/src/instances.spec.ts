import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Announcement } from '@jogakbo/contract';
import type { BrokerConnection } from './connection.ts';
import { Instances } from './instances.ts';
import type { Publisher } from './publisher.ts';

/** Three heartbeat intervals, in milliseconds. */
const lease = 30_000;

const announcement = (service: string, more: object = {}) => ({
  ...{ service, version: '1', instance: `${service}-1`, state: 'up', url: 'http://127.0.0.1:9' },
  ...{ startedAt: new Date(0).toISOString(), interval: lease / 3_000 },
  contract: { service, description: '', requests: [], events: [] },
  ...more,
});

const foreign = { instance: 'eureka:HELLO:1', upstream: 'http', registrationProxy: 'registry' };

describe('an instance with a registration proxy', () => {
  let instances: Instances;
  beforeEach(() => {
    jest.useFakeTimers();
    const publisher = { publish: async () => {} } as unknown as Publisher;
    instances = new Instances({} as BrokerConnection, publisher, 'gateway', undefined, 'routes');
    instances.receive('instances.announced', announcement('registry'));
    instances.receive('instances.announced', announcement('hello', foreign));
  });
  afterEach(() => void jest.useRealTimers());

  const names = () => instances.alive.map(({ service }) => service).sort();
  const pass = (milliseconds: number) => {
    for (let left = milliseconds; left > 0; left -= 1_000) {
      jest.advanceTimersByTime(1_000);
      names();
    }
  };
  const beat = (instance: string) =>
    instances.receive('instances.beat', { instance, interval: lease / 3_000 });

  it('expires with its lease while a proxy is present', () => {
    pass(lease / 2);
    beat('registry-1');
    pass(lease / 2 + 1_000);
    expect(names()).toEqual(['registry']);
  });

  it('stays without a proxy, and has a full lease once a proxy is present again', () => {
    instances.receive('instances.announced', announcement('registry', { state: 'draining' }));
    pass(10 * lease);
    expect(names()).toEqual(['hello']);
    instances.receive('instances.announced', announcement('registry'));
    pass(lease / 2);
    beat('registry-1');
    expect(names()).toEqual(['hello', 'registry']);
    pass(lease / 2 + 1_000);
    expect(names()).toEqual(['registry']);
  });

  it('stays without a proxy even if the instances are rarely read', () => {
    jest.advanceTimersByTime(lease / 2);
    instances.receive('instances.announced', announcement('registry', { state: 'draining' }));
    jest.advanceTimersByTime(10 * lease);
    expect(names()).toEqual(['hello']);
    jest.advanceTimersByTime(10 * lease);
    instances.receive('instances.announced', announcement('registry'));
    jest.advanceTimersByTime(lease - 1_000);
    expect(names()).toEqual(['hello', 'registry']);
  });

  it('stays if its proxy vanishes without a word, and expires if it had expired before', () => {
    jest.advanceTimersByTime(lease / 2);
    beat('hello'); // unknown: ignored
    beat('eureka:HELLO:1');
    jest.advanceTimersByTime(10 * lease);
    expect(names()).toEqual(['hello']);
  });
});

describe('the announcements of one service', () => {
  const refused = jest.fn();
  const publisher = { publish: async () => {} } as unknown as Publisher;
  const connection = { reportRefusedMessage: refused } as unknown as BrokerConnection;
  const open = () => new Instances(connection, publisher, 'gateway');
  const announce = (instances: Instances, more: object) =>
    instances.receive('instances.announced', announcement('shop', more));
  const withDescription = (description: string) => ({
    contract: { service: 'shop', description, requests: [], events: [] },
  });

  it('do not make an instance the newest because its clock is ahead', () => {
    const instances = open();
    announce(instances, { instance: 'shop-ahead', startedAt: '2099-01-01T00:00:00.000Z' });
    announce(instances, { instance: 'shop-ahead', startedAt: '2099-01-01T00:00:00.000Z' });
    const [{ startedAt }] = instances.present as [Announcement];
    expect(Date.parse(startedAt)).toBeLessThanOrEqual(Date.now());
    expect(Date.parse(startedAt)).toBeGreaterThan(Date.now() - 10_000);
  });

  it('are limited to 100 instances, and further ones are refused', () => {
    refused.mockClear();
    const instances = open();
    for (let at = 0; at < 150; at++) announce(instances, { instance: `shop-${at}` });
    expect(instances.present).toHaveLength(100);
    expect(refused).toHaveBeenCalledTimes(50);
    // Known instances stay, and other services are not affected.
    announce(instances, { instance: 'shop-1', state: 'out' });
    instances.receive('instances.announced', announcement('bank'));
    expect(instances.present).toHaveLength(101);
    expect(instances.present.find(({ instance }) => instance === 'shop-1')).toMatchObject({ state: 'out' });
    announce(instances, { instance: 'shop-0', state: 'draining' });
    announce(instances, { instance: 'shop-new' });
    expect(instances.present.map(({ instance }) => instance)).toContain('shop-new');
  });

  it('are limited to 8 contracts, each stored once', () => {
    const instances = open();
    for (let at = 0; at < 20; at++)
      announce(instances, { instance: `shop-${at}`, ...withDescription(`v${at}`) });
    expect(instances.present).toHaveLength(8);
    for (let at = 0; at < 20; at++)
      announce(instances, { instance: `shop-more${at}`, ...withDescription('v1') });
    expect(instances.present).toHaveLength(28);
    expect(new Set(instances.present.map(({ contract }) => contract)).size).toBe(8);
  });

  it('expire after three announced intervals, regardless of the interval in heartbeats', () => {
    jest.useFakeTimers();
    const instances = open();
    announce(instances, {});
    instances.receive('instances.beat', { instance: 'shop-1', interval: 4_000 });
    jest.advanceTimersByTime(lease + 1_000);
    expect(instances.present).toEqual([]);
    jest.useRealTimers();
  });
});

describe('a roll call', () => {
  it('that could not be published is not over, and is sent again', async () => {
    jest.useFakeTimers();
    let failures = 2;
    const publish = jest.fn(async () => {
      if (failures-- > 0) throw new Error('the connection to the broker is down');
    });
    const instances = new Instances({} as BrokerConnection, { publish } as unknown as Publisher, 'gateway');
    instances.receive('instances.beat', { instance: 'shop-1', interval: 5 });
    await jest.advanceTimersByTimeAsync(1_900);
    expect([publish.mock.calls.length, instances.isRollCallOver]).toEqual([2, false]);
    await jest.advanceTimersByTimeAsync(1_900);
    expect([publish.mock.calls.length, instances.isRollCallOver]).toEqual([3, true]);
    jest.useRealTimers();
  });
});
