import { describe, expect, it } from '@jest/globals';
import { Announcement } from './announcement.ts';

const createRequest = (name: string, more: object = {}) => ({
  ...{ name, kind: 'query', description: '', input: {}, output: null, rejections: {}, idempotency: 'none' },
  ...more,
});
const createAnnouncement = (more: object = {}, contract: object = {}) => ({
  ...{ service: 'search', version: '1', instance: 'search-1', state: 'up', url: 'http://127.0.0.1:9' },
  ...{ startedAt: new Date(0).toISOString(), interval: 2 },
  contract: { service: 'search', description: '', requests: [], events: [], ...contract },
  ...more,
});
const withHttp = (http: object) => ({
  http: { method: 'GET', path: '/v1/x', parameters: [], status: 200, ...http },
});
const createDeepSchema = (depth: number): object =>
  depth === 0 ? {} : { type: 'object', items: createDeepSchema(depth - 1) };
const isAccepted = (announcement: object): boolean => Announcement.safeParse(announcement).success;
const withWait = (answer: string, event: string) => ({
  http: {
    ...{ method: 'POST', path: '/v1/x', parameters: [], status: 202 },
    wait: { key: 'id', until: [{ event }], answer, status: 201 },
  },
});

describe('an announcement', () => {
  it('is accepted for its own service', () => {
    const requests = [
      createRequest('search.find', withWait('search.find', 'search.found')),
      createRequest('search.find.v2'),
    ];
    const events = [{ name: 'search.found', description: '', data: {} }];
    expect(isAccepted(createAnnouncement({}, { requests, events }))).toBe(true);
  });

  it('is accepted with and without what its service uses of others', () => {
    const uses = [
      { name: 'library.find.v2', kind: 'query', sends: {}, receives: null, rejections: ['gone'] },
      { name: 'library.found', kind: 'event', receives: { type: 'object' } },
    ];
    expect(Announcement.parse(createAnnouncement({}, { uses })).contract.uses).toEqual(uses);
    expect(Announcement.parse(createAnnouncement()).contract.uses).toBeUndefined();
  });

  it.each<[string, object, object]>([
    ['another service in its contract', {}, { service: 'identity' }],
    ['a use of its own request', {}, { uses: [{ name: 'search.find', kind: 'query' }] }],
    ['a use without a name', {}, { uses: [{ name: 'library', kind: 'query' }] }],
    ['an invalid schema of a use', {}, { uses: [{ name: 'library.find', kind: 'query', sends: 5 }] }],
    ['an invalid service name in its contract', {}, { service: 'identity@evil' }],
    ['a suffix after its own name', { service: 'search@evil' }, { service: 'search@evil' }],
    ['an upper-case name', { service: 'Search', instance: 'Search-1' }, { service: 'Search' }],
    ['an instance of another service', { instance: 'identity-1' }, {}],
    ['an invalid instance name', { instance: 'search-1 identity' }, {}],
    ['a request of another service', {}, { requests: [createRequest('identity.get-jwks')] }],
    [
      'a request whose name only begins with the service name',
      {},
      { requests: [createRequest('searching.find')] },
    ],
    ['a request for one version', {}, { requests: [createRequest('search.find@evil')] }],
    ['a request without a name', {}, { requests: [createRequest('search.')] }],
    ['an event of another service', {}, { events: [{ name: 'identity.gone', description: '', data: {} }] }],
    [
      'a query of another service as the result of a wait',
      {},
      { requests: [createRequest('search.find', withWait('identity.list-audit', 'search.found'))] },
    ],
    [
      'an event of another service as the end of a wait',
      {},
      { requests: [createRequest('search.find', withWait('search.find', 'identity.gone'))] },
    ],
    ['an instance of a service whose name begins with its own', { instance: 'search-line-1' }, {}],
    ['a long interval', { interval: 61 }, {}],
    ['a very short interval', { interval: 0.05 }, {}],
    ['an invalid URL', { url: 'nowhere' }, {}],
    ['a URL that is not HTTP', { url: 'file:///etc/passwd' }, {}],
    ['a version with terminal control characters', { version: '1\u001b[2J' }, {}],
    ['too many queues', { madeQueues: Array(17).fill({ id: '1', takes: ['search.find'], ago: 0 }) }, {}],
    ['a queue recreated in the future', { madeQueues: [{ id: '1', takes: [], ago: -1 }] }, {}],
    ['an interim status', {}, { requests: [createRequest('search.find', withHttp({ status: 101 }))] }],
    ['an error status', {}, { requests: [createRequest('search.find', withHttp({ status: 500 }))] }],
    ['a fractional status', {}, { requests: [createRequest('search.find', withHttp({ status: 200.5 }))] }],
    [
      'a rejection with a success status',
      {},
      { requests: [createRequest('search.find', { rejections: { no: 200 } })] },
    ],
    [
      'an endless cache',
      {},
      { requests: [createRequest('search.find', withHttp({ cache: { maxAge: 1e300 } }))] },
    ],
    [
      'a deeply nested fallback',
      {},
      { requests: [createRequest('search.find', withHttp({ fallback: { answer: createDeepSchema(40) } }))] },
    ],
    ['half a surrogate pair in a description', {}, { description: 'a\ud800' }],
    [
      'half a surrogate pair as the name of a field',
      {},
      { requests: [createRequest('search.find', { input: { properties: { '\udc00': {} } } })] },
    ],
    ['half a surrogate pair in a registration', { registration: { note: ['\ud83d'] } }, {}],
    ['a deeply nested registration', { registration: createDeepSchema(40) }, {}],
    ...[
      ...[5, [], 'x', null],
      ...[{ required: 5 }, { required: [5] }, { properties: [] }, { properties: { a: 5 } }, { type: {} }],
      ...[{ items: 'x' }, { anyOf: {} }, { anyOf: [5] }, { $ref: 5 }, { enum: {} }, { $defs: { a: null } }],
      ...[
        { properties: { a: { items: { required: 5 } } } },
        { additionalProperties: { oneOf: 5 } },
        createDeepSchema(40),
      ],
    ].map((input): [string, object, object] => [
      `an invalid schema: ${JSON.stringify(input).slice(0, 60)}`,
      {},
      { requests: [createRequest('search.find', { input })] },
    ]),
  ])('is rejected with %s', (_, more, contract) => {
    expect(isAccepted(createAnnouncement(more, contract))).toBe(false);
  });

  it('can contain surrogate pairs', () => {
    expect(isAccepted(createAnnouncement({}, { description: '\ud83d\ude00' }))).toBe(true);
  });

  it('accepts any JSON Schema', () => {
    const input = {
      ...{ type: ['object', 'null'], properties: { required: { type: 'string' } }, required: ['required'] },
      ...{ additionalProperties: false, anyOf: [{ items: true }], $defs: { a: { enum: [1] } }, 'x-own': 5 },
      ...{ default: { required: 5 }, ...createDeepSchema(20) },
    };
    expect(isAccepted(createAnnouncement({}, { requests: [createRequest('search.find', { input })] }))).toBe(
      true,
    );
  });

  it('of an HTTP upstream is rejected if its names are those of a service on the bus', () => {
    const foreign = { service: 'hello.world', upstream: 'http', instance: 'eureka:HELLO.WORLD:1' };
    expect(isAccepted(createAnnouncement(foreign, { service: 'hello.world' }))).toBe(true);
    expect(
      isAccepted(createAnnouncement({ ...foreign, instance: 'search-1' }, { service: 'hello.world' })),
    ).toBe(false);
    expect(isAccepted(createAnnouncement(foreign))).toBe(false);
  });
});
