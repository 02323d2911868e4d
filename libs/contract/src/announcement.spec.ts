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
const bound = (http: object) => ({
  http: { method: 'GET', path: '/v1/x', parameters: [], status: 200, ...http },
});
const deep = (depth: number): object => (depth === 0 ? {} : { type: 'object', items: deep(depth - 1) });
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
    ['an instance of a service whose name begins with its own', { instance: 'search-line-1' }, {}],
    ['a long silence', { interval: 61 }, {}],
    ['no pause', { interval: 0.05 }, {}],
    ['no URL', { url: 'nowhere' }, {}],
    ['a URL that is no web address', { url: 'file:///etc/passwd' }, {}],
    ['a version that moves the cursor', { version: '1\u001b[2J' }, {}],
    ['many queues', { madeQueues: Array(17).fill({ id: '1', takes: ['search.find'], ago: 0 }) }, {}],
    ['a queue that is still to be made', { madeQueues: [{ id: '1', takes: [], ago: -1 }] }, {}],
    ['a status that ends no answer', {}, { requests: [request('search.find', bound({ status: 101 }))] }],
    ['a status of an error', {}, { requests: [request('search.find', bound({ status: 500 }))] }],
    ['half a status', {}, { requests: [request('search.find', bound({ status: 200.5 }))] }],
    ['a rejection that is none', {}, { requests: [request('search.find', { rejections: { no: 200 } })] }],
    ['an endless cache', {}, { requests: [request('search.find', bound({ cache: { maxAge: 1e300 } }))] }],
    [
      'a deep fallback',
      {},
      { requests: [request('search.find', bound({ fallback: { answer: deep(40) } }))] },
    ],
    ['a deep registration', { registration: deep(40) }, {}],
    ...[
      ...[5, [], 'x', null],
      ...[{ required: 5 }, { required: [5] }, { properties: [] }, { properties: { a: 5 } }, { type: {} }],
      ...[{ items: 'x' }, { anyOf: {} }, { anyOf: [5] }, { $ref: 5 }, { enum: {} }, { $defs: { a: null } }],
      ...[
        { properties: { a: { items: { required: 5 } } } },
        { additionalProperties: { oneOf: 5 } },
        deep(40),
      ],
    ].map((input): [string, object, object] => [
      `a schema that is none: ${JSON.stringify(input).slice(0, 60)}`,
      {},
      { requests: [request('search.find', { input })] },
    ]),
  ])('is not taken with %s', (_, more, contract) => {
    expect(isTaken(said(more, contract))).toBe(false);
  });

  it('may have any JSON Schema', () => {
    const input = {
      ...{ type: ['object', 'null'], properties: { required: { type: 'string' } }, required: ['required'] },
      ...{ additionalProperties: false, anyOf: [{ items: true }], $defs: { a: { enum: [1] } }, 'x-own': 5 },
      ...{ default: { required: 5 }, ...deep(20) },
    };
    expect(isTaken(said({}, { requests: [request('search.find', { input })] }))).toBe(true);
  });

  it('of a service that is asked over HTTP never looks like one on the bus', () => {
    const foreign = { service: 'hello.world', upstream: 'http', instance: 'eureka:HELLO.WORLD:1' };
    expect(isTaken(said(foreign, { service: 'hello.world' }))).toBe(true);
    expect(isTaken(said({ ...foreign, instance: 'search-1' }, { service: 'hello.world' }))).toBe(false);
    expect(isTaken(said(foreign))).toBe(false);
  });
});
