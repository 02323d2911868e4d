import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '@jogakbo/testing';
import { seen } from './demo.ts';
import { GatewayUnderTest, expectProblem } from './gateway-under-test.ts';

describe('public reads', () => {
  const gateway = new GatewayUnderTest();
  beforeAll(() => gateway.open());
  afterAll(() => gateway.close());
  let nth = 0;
  /** Another read than any before, in its address and so in what is kept. */
  let path: string;
  beforeEach(() => {
    path = `/v1/counter?note=${(nth += 1)}`;
    seen.counterAsked = 0;
  });

  it('are given again for as long as the contract says, and say so', async () => {
    const first = await gateway.call(path);
    expect(first.headers.get('cache-control')).toBe('public, max-age=1');
    expect(first.headers.get('age')).toBe('0');
    expect(first.headers.get('vary')).toContain('Accept-Language');
    expect(first.headers.get('vary')).toContain('Authorization');
    expect(first.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect((await gateway.call(path)).body).toEqual(first.body);
    expect(seen.counterAsked).toBe(1);
    await sleep(1_050);
    await gateway.call(path);
    expect(seen.counterAsked).toBe(2);
  });

  it('are the same however their address is written', async () => {
    await gateway.call(path);
    await gateway.call(path.replace('note', '%6eote'));
    expect(seen.counterAsked).toBe(1);
  });

  it('differ by language and by what is asked', async () => {
    await gateway.call(path);
    expect((await gateway.call(path, { headers: { 'accept-language': 'en' } })).body.language).toBe('en');
    expect((await gateway.call(path, { headers: { 'accept-language': 'ko' } })).body.language).toBe('ko');
    await gateway.call(`${path}0`);
    expect(seen.counterAsked).toBe(3);
  });

  it('that are under way at the same time are asked for once', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => gateway.call(`${path}&takes=150`)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(seen.counterAsked).toBe(1);
  });

  describe('that nobody may keep', () => {
    const together = (headers = '') => {
      const get = `GET /v1/things?name=together HTTP/1.1\r\nHost: x\r\n${headers}`;
      return gateway.raw(`${get}\r\n${get}\r\n${get}Connection: close\r\n\r\n`);
    };
    /** How often the service was asked for what comes in one piece, and so in the same turn. */
    const asked = async (headers?: string) => {
      const before = seen.contexts.length;
      expect((await together(headers)).match(/HTTP\/1.1 200 /g)).toHaveLength(3);
      return seen.contexts.length - before;
    };

    it('are asked for once by all who come in the same turn, and again by whoever comes later', async () => {
      expect(await asked()).toBe(1);
      expect(await asked()).toBe(1);
    });

    it('are asked for by each who is signed in, or says no-cache', async () => {
      expect(await asked(`Authorization: Bearer ${gateway.member}\r\n`)).toBe(3);
      expect(await asked('Cache-Control: no-cache\r\n')).toBe(3);
    });
  });

  it('that fail are not kept', async () => {
    for (let again = 0; again < 2; again += 1) {
      expectProblem(await gateway.call(`${path}&takes=1500`), 504, 'timeout');
    }
    expect(seen.counterAsked).toBe(2);
  });

  it('show a client its own change, though an answer is kept and another under way', async () => {
    const before = (await gateway.call(path)).body.count;
    const late = gateway.call(`${path}&takes=300`);
    await eventually(() => seen.counterAsked === 2);
    await gateway.call('/v1/counter', { body: {} });
    expect((await gateway.call(path)).body.count).toBe(before + 1);
    expect((await gateway.call(`${path}&takes=300`)).body.count).toBe(before + 1);
    expect((await late).body.count).toBe(before);
    // What was asked for before the change is not kept after it.
    expect((await gateway.call(`${path}&takes=300`)).body.count).toBe(before + 1);
  });

  it('are new for members, and for whoever says no-cache, and are not kept for them', async () => {
    await gateway.call(path);
    seen.count += 1;
    const mine = await gateway.call(path, { token: gateway.member });
    expect(mine.body.count).toBe(seen.count);
    expect(mine.headers.get('cache-control')).toBe('private, no-cache');
    expect(mine.headers.get('age')).toBeNull();
    const fresh = await gateway.call(path, { headers: { 'cache-control': 'no-cache' } });
    expect(fresh.body.count).toBe(seen.count);
    expect((await gateway.call(path)).body.count).toBe(seen.count - 1);
  });

  it('have an ETag that changes with the answer, and 304 for whoever has it', async () => {
    const { headers } = await gateway.call(path);
    const etag = headers.get('etag')!;
    expect(etag).toMatch(/^W\/"[\w-]{27}\.ko"$/);
    const again = await gateway.call(path, { headers: { 'if-none-match': etag } });
    expect(again).toMatchObject({ status: 304, body: undefined });
    expect(again.headers.get('etag')).toBe(etag);
    expect(again.headers.get('cache-control')).toBe('public, max-age=1');
    await gateway.call('/v1/counter', { body: {} });
    const changed = await gateway.call(path, { headers: { 'if-none-match': etag } });
    expect(changed.status).toBe(200);
    expect(changed.headers.get('etag')).not.toBe(etag);
  });

  it('of members have an ETag too, and are kept by nobody', async () => {
    const { headers } = await gateway.call('/v1/me', { token: gateway.member });
    expect(headers.get('cache-control')).toBe('no-store');
    const again = await gateway.call('/v1/me', {
      token: gateway.member,
      headers: { 'if-none-match': headers.get('etag')! },
    });
    expect(again.status).toBe(304);
    const other = await gateway.call('/v1/me', {
      token: gateway.merchant,
      headers: { 'if-none-match': headers.get('etag')! },
    });
    expect(other).toMatchObject({ status: 200, body: { memberId: 'm-2' } });
  });
});
