import { describe, expect, it } from '@jest/globals';
import { Announcement } from './description.ts';

const request = (name: string, more: object = {}) => ({
  ...{ name, kind: 'query', description: '', input: {}, output: null, rejections: {}, idempotency: 'none' },
  ...more,
});
const said = (more: object = {}, contract: object = {}) => ({
  ...{ service: 'search', version: '1', instance: 'search-1', state: 'up', url: 'http://127.0.0.1:9' },
  ...{ startedAt: new Date(0).toISOString(), interval: 2 },
  contract: { service: 'search', description: '', requests: [], events: [], ...contract },
  ...more,
});
const isTaken = (announcement: object): boolean => Announcement.safeParse(announcement).success;
const wait = (answer: string, event: string) => ({
  http: {
    ...{ method: 'POST', path: '/v1/x', parameters: [], status: 202 },
    wait: { key: 'id', until: [{ event }], answer, status: 201 },
  },
});

describe('an announcement', () => {
  it('speaks of its own service', () => {
    const requests = [request('search.find', wait('search.find', 'search.found')), request('search.find.v2')];
    const events = [{ name: 'search.found', description: '', data: {} }];
    expect(isTaken(said({}, { requests, events }))).toBe(true);
  });

  it.each<[string, object, object]>([
    ['another service in its contract', {}, { service: 'identity' }],
    ['a contract that only looks like one', {}, { service: 'identity@evil' }],
    ['its own name with something behind it', { service: 'search@evil' }, { service: 'search@evil' }],
    ['a name in capitals', { service: 'Search', instance: 'Search-1' }, { service: 'Search' }],
    ['an instance of another service', { instance: 'identity-1' }, {}],
    ['an instance that no name could be', { instance: 'search-1 identity' }, {}],
    ['a request of another service', {}, { requests: [request('identity.get-jwks')] }],
    ['a request whose name only begins so', {}, { requests: [request('searching.find')] }],
    ['a request for one version', {}, { requests: [request('search.find@evil')] }],
    ['a request without a name', {}, { requests: [request('search.')] }],
    ['an event of another service', {}, { events: [{ name: 'identity.gone', description: '', data: {} }] }],
    [
      'the answer of another service for those who wait',
      {},
      { requests: [request('search.find', wait('identity.list-audit', 'search.found'))] },
    ],
    [
      'the event of another service for those who wait',
      {},
      { requests: [request('search.find', wait('search.find', 'identity.gone'))] },
    ],
  ])('is not taken with %s', (_, more, contract) => {
    expect(isTaken(said(more, contract))).toBe(false);
  });

  it('of a service that is asked over HTTP never looks like one on the bus', () => {
    const foreign = { service: 'hello.world', upstream: 'http', instance: 'eureka:HELLO.WORLD:1' };
    expect(isTaken(said(foreign, { service: 'hello.world' }))).toBe(true);
    expect(isTaken(said({ ...foreign, instance: 'search-1' }, { service: 'hello.world' }))).toBe(false);
    expect(isTaken(said(foreign))).toBe(false);
  });
});
