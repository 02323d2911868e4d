import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '@jogakbo/testing';
import { demoState } from './demo.ts';
import { GatewayUnderTest, expectProblem } from './gateway-under-test.ts';

describe('public reads', () => {
  const gateway = new GatewayUnderTest();
  beforeAll(() => gateway.start());
  afterAll(() => gateway.stop());
  let nth = 0;
  /** A new URL for each test, and so a new cache entry. */
  let path: string;
  beforeEach(() => {
    path = `/v1/counter?note=${(nth += 1)}`;
    demoState.counterCalls = 0;
  });

  it('are cached for the max-age of the contract, and report it', async () => {
    const first = await gateway.call(path);
    expect(first.headers.get('cache-control')).toBe('public, max-age=1');
    expect(first.headers.get('age')).toBe('0');
    expect(first.headers.get('vary')).toContain('Accept-Language');
    expect(first.headers.get('vary')).toContain('Authorization');
    expect(first.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect((await gateway.call(path)).body).toEqual(first.body);
    expect(demoState.counterCalls).toBe(1);
    await sleep(1_050);
    await gateway.call(path);
    expect(demoState.counterCalls).toBe(2);
  });

  it('share one cache entry for equivalent URLs', async () => {
    await gateway.call(path);
    await gateway.call(path.replace('note', '%6eote'));
    expect(demoState.counterCalls).toBe(1);
  });

  it('are cached per language and per URL', async () => {
    await gateway.call(path);
    expect((await gateway.call(path, { headers: { 'accept-language': 'en' } })).body.language).toBe('en');
    expect((await gateway.call(path, { headers: { 'accept-language': 'nl' } })).body.language).toBe('nl');
    await gateway.call(`${path}0`);
    expect(demoState.counterCalls).toBe(3);
  });

  it('are coalesced while they are in flight', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => gateway.call(`${path}&takes=150`)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(demoState.counterCalls).toBe(1);
  });

  describe('that are not cacheable', () => {
    const sendPipelined = (headers = '') => {
      const get = `GET /v1/things?name=together HTTP/1.1\r\nHost: x\r\n${headers}`;
      return gateway.sendRaw(`${get}\r\n${get}\r\n${get}Connection: close\r\n\r\n`);
    };
    /** Counts the calls of the service for three requests in one packet, and so in one event-loop iteration. */
    const countCalls = async (headers?: string) => {
      const before = demoState.contexts.length;
      expect((await sendPipelined(headers)).match(/HTTP\/1.1 200 /g)).toHaveLength(3);
      return demoState.contexts.length - before;
    };

    it('are coalesced within one event-loop iteration, and repeated afterwards', async () => {
      expect(await countCalls()).toBe(1);
      expect(await countCalls()).toBe(1);
    });

    it('are not coalesced for signed-in callers or with no-cache', async () => {
      expect(await countCalls(`Authorization: Bearer ${gateway.member}\r\n`)).toBe(3);
      expect(await countCalls('Cache-Control: no-cache\r\n')).toBe(3);
    });
  });

  it('that fail are not cached', async () => {
    for (let again = 0; again < 2; again += 1) {
      expectProblem(await gateway.call(`${path}&takes=1500`), 504, 'timeout');
    }
    expect(demoState.counterCalls).toBe(2);
  });

  it('show a client its own change despite a cached response and a read in flight', async () => {
    const before = (await gateway.call(path)).body.count;
    const late = gateway.call(`${path}&takes=300`);
    await eventually(() => demoState.counterCalls === 2);
    await gateway.call('/v1/counter', { body: {} });
    expect((await gateway.call(path)).body.count).toBe(before + 1);
    expect((await gateway.call(`${path}&takes=300`)).body.count).toBe(before + 1);
    expect((await late).body.count).toBe(before);
    // A read that began before the change is not cached after it.
    expect((await gateway.call(`${path}&takes=300`)).body.count).toBe(before + 1);
  });

  it('bypass the cache for members and with no-cache, and are not stored', async () => {
    await gateway.call(path);
    demoState.count += 1;
    const mine = await gateway.call(path, { token: gateway.member });
    expect(mine.body.count).toBe(demoState.count);
    expect(mine.headers.get('cache-control')).toBe('private, no-cache');
    expect(mine.headers.get('age')).toBeNull();
    const fresh = await gateway.call(path, { headers: { 'cache-control': 'no-cache' } });
    expect(fresh.body.count).toBe(demoState.count);
    expect((await gateway.call(path)).body.count).toBe(demoState.count - 1);
  });

  it('have an ETag that changes with the response, and 304 if it matches', async () => {
    const { headers } = await gateway.call(path);
    const etag = headers.get('etag')!;
    expect(etag).toMatch(/^W\/"[\w-]{27}\.nl"$/);
    const again = await gateway.call(path, { headers: { 'if-none-match': etag } });
    expect(again).toMatchObject({ status: 304, body: undefined });
    expect(again.headers.get('etag')).toBe(etag);
    expect(again.headers.get('cache-control')).toBe('public, max-age=1');
    await gateway.call('/v1/counter', { body: {} });
    const changed = await gateway.call(path, { headers: { 'if-none-match': etag } });
    expect(changed.status).toBe(200);
    expect(changed.headers.get('etag')).not.toBe(etag);
  });

  it('of members have an ETag too, and are never cached', async () => {
    const { headers } = await gateway.call('/v1/me', { token: gateway.member });
    expect(headers.get('cache-control')).toBe('no-store');
    const again = await gateway.call('/v1/me', {
      token: gateway.member,
      headers: { 'if-none-match': headers.get('etag')! },
    });
    expect(again.status).toBe(304);
    const other = await gateway.call('/v1/me', {
      token: gateway.moderator,
      headers: { 'if-none-match': headers.get('etag')! },
    });
    expect(other).toMatchObject({ status: 200, body: { memberId: 'm-2' } });
  });
});
