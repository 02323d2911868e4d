import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { BrokerConnection } from './connection.ts';
import { Instances } from './instances.ts';
import type { Publisher } from './publisher.ts';

/** Three of its intervals, in milliseconds. */
const lease = 30_000;

const announcement = (service: string, more: object = {}) => ({
  ...{ service, version: '1', instance: `${service}-1`, state: 'up', url: 'http://127.0.0.1:9' },
  ...{ startedAt: new Date(0).toISOString(), interval: lease / 3_000 },
  contract: { service, description: '', requests: [], events: [] },
  ...more,
});

const foreign = { instance: 'eureka:HELLO:1', upstream: 'http', spokesman: 'registry' };

describe('an instance that another one speaks for', () => {
  let instances: Instances;
  beforeEach(() => {
    jest.useFakeTimers();
    const publisher = { publish: async () => {} } as unknown as Publisher;
    instances = new Instances({} as BrokerConnection, publisher, 'gateway', undefined, 'routes');
    instances.hear('instances.announced', announcement('registry'));
    instances.hear('instances.announced', announcement('hello', foreign));
  });
  afterEach(() => void jest.useRealTimers());

  const names = () => instances.alive.map(({ service }) => service).sort();
  const pass = (milliseconds: number) => {
    for (let left = milliseconds; left > 0; left -= 1_000) {
      jest.advanceTimersByTime(1_000);
      names();
    }
  };
  const beat = (instance: string) => instances.hear('instances.beat', { instance, interval: lease / 3_000 });

  it('is gone with its lease while somebody is there to speak for it', () => {
    pass(lease / 2);
    beat('registry-1');
    pass(lease / 2 + 1_000);
    expect(names()).toEqual(['registry']);
  });

  it('stays while nobody is, and has one lease to be heard of when somebody is again', () => {
    instances.hear('instances.announced', announcement('registry', { state: 'draining' }));
    pass(10 * lease);
    expect(names()).toEqual(['hello']);
    instances.hear('instances.announced', announcement('registry'));
    pass(lease / 2);
    beat('registry-1');
    expect(names()).toEqual(['hello', 'registry']);
    pass(lease / 2 + 1_000);
    expect(names()).toEqual(['registry']);
  });
});
