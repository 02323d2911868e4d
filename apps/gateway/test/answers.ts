import { describe, expect, it } from '@jest/globals';
import { demoState } from './demo.ts';
import { type GatewayUnderTest, expectProblem, id, json } from './gateway-under-test.ts';

export const testResponses = (gateway: GatewayUnderTest) => {
  describe('responses', () => {
    it('parses path and query parameters by the contract schema', async () => {
      const { status, body } = await gateway.call('/v1/things?limit=7&sold=true&tag=a&tag=b&name=12');
      expect(status).toBe(200);
      expect(body.seen).toEqual({ limit: 7, sold: true, tag: ['a', 'b'], name: '12' });
    });

    it('negotiates the language and sets Content-Language', async () => {
      const answer = await gateway.call(`/v1/things/${id}`, {
        headers: { 'accept-language': 'fr, en;q=0.8, nl;q=0.5' },
      });
      expect(answer.body).toEqual({ thingId: id, text: 'hello', version: 3 });
      expect(answer.headers.get('content-language')).toBe('en');
      expect(answer.headers.get('vary')).toBe('Accept-Language');
      expect(answer.headers.get('cache-control')).toBe('no-cache');
      expect((await gateway.call(`/v1/things/${id}`)).body.text).toBe('hé, hallo');
      for (const [accepted, language] of [
        ['nl;q=0, *', 'en'],
        ['*', 'nl'],
        ['en;q=0.1, nl;q=0', 'en'],
      ])
        expect(
          (await gateway.call('/v1/things', { headers: { 'accept-language': accepted! } })).body.language,
        ).toBe(language);
    });

    it('accepts upper-case ids in the path and in the query', async () => {
      const capitals = id.replace(/.$/, 'e').toUpperCase();
      const lower = capitals.toLowerCase();
      expect((await gateway.call(`/v1/things/${capitals}`)).body.thingId).toBe(lower);
      expect((await gateway.call(`/v1/things?id=${capitals}&name=${capitals}`)).body.seen).toMatchObject({
        id: lower,
        name: capitals,
      });
    });

    it('accepts integers up to MAX_SAFE_INTEGER', async () => {
      const max = Number.MAX_SAFE_INTEGER;
      expect((await gateway.call(`/v1/sums?a=${max}&b=-${max}`)).body).toEqual({ a: max, b: -max });
      expectProblem(await gateway.call(`/v1/sums?a=${max + 1}&b=1`), 400, 'invalid', 'a');
    });

    it('sends an ETag per language, and 304 if it matches', async () => {
      const etag = (await gateway.call(`/v1/things/${id}`)).headers.get('etag')!;
      expect(etag).toBe('"3.nl"');
      const again = await gateway.call(`/v1/things/${id}`, {
        headers: { 'if-none-match': `"1.nl", W/${etag}` },
      });
      expect(again).toMatchObject({ status: 304, body: undefined });
      expect(again.headers.get('etag')).toBe(etag);
      const english = { 'if-none-match': etag, 'accept-language': 'en' };
      expect((await gateway.call(`/v1/things/${id}`, { headers: english })).status).toBe(200);
    });

    it('sends an ETag per content coding, and 304 with the headers that a cache needs', async () => {
      const longPath = `/v1/things/${id.slice(0, -1)}f`;
      const read = (headers: Record<string, string>) => gateway.call(longPath, { headers });
      const etags: string[] = [];
      for (const coding of ['br', 'gzip', 'identity']) {
        const first = await read({ 'accept-encoding': coding });
        const etag = first.headers.get('etag')!;
        etags.push(etag);
        expect(first.headers.get('content-encoding')).toBe(coding === 'identity' ? null : coding);
        const again = await read({ 'accept-encoding': coding, 'if-none-match': etag });
        expect(again).toMatchObject({ status: 304, body: undefined });
        for (const name of ['etag', 'vary', 'cache-control'])
          expect([name, again.headers.get(name)]).toEqual([name, first.headers.get(name)]);
        expect(again.headers.get('vary')).toBe('Accept-Language, Accept-Encoding');
        expect(again.headers.get('date')).not.toBeNull();
        expect(again.headers.get('content-type')).toBeNull();
      }
      expect(etags).toEqual(['"3.nl.br"', '"3.nl.gzip"', '"3.nl"']);
      const other = await read({ 'accept-encoding': 'gzip', 'if-none-match': '"3.nl.br", "3.nl"' });
      expect(other.status).toBe(200);
      expect((await read({ 'accept-encoding': 'br;q=0, *' })).headers.get('etag')).toBe('"3.nl.gzip"');
    });

    it('sends 204 if the contract has no output, and accepts an empty body', async () => {
      const gone = await gateway.call(`/v1/things/${id}`, {
        method: 'DELETE',
        token: gateway.operator,
        headers: json,
      });
      expect(gone).toMatchObject({ status: 204, body: undefined });
    });

    describe('W3C Trace Context', () => {
      const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
      const parentId = '00f067aa0ba902b7';
      const callWithTrace = async (traceparent: string, tracestate = 'rojo=1,congo=t61rcWkgMzE') => {
        const answer = await gateway.call('/v1/things', { headers: { traceparent, tracestate } });
        return { id: answer.headers.get('x-request-id'), context: demoState.contexts.at(-1)! };
      };

      it.each(['00', '01', '02', '03'])('propagates trace id, tracestate and the flags %s', async (flags) => {
        const { id, context } = await callWithTrace(`00-${traceId}-${parentId}-${flags}`);
        expect(id).toBe(traceId);
        expect(context.traceparent).toMatch(
          new RegExp(`^00-${traceId}-(?!${parentId})[0-9a-f]{16}-${flags}$`),
        );
        expect(context.tracestate).toBe('rojo=1,congo=t61rcWkgMzE');
      });

      it('accepts a later version', async () => {
        const { id, context } = await callWithTrace(`cc-${traceId}-${parentId}-01-more`);
        expect(id).toBe(traceId);
        expect(context).toMatchObject({
          traceparent: expect.stringMatching(/^00-/),
          tracestate: 'rojo=1,congo=t61rcWkgMzE',
        });
      });

      it.each([
        `00-${'0'.repeat(32)}-${parentId}-01`,
        `00-${traceId}-${'0'.repeat(16)}-01`,
        `ff-${traceId}-${parentId}-01`,
      ])('starts a new trace for %s', async (traceparent) => {
        const { id, context } = await callWithTrace(traceparent);
        expect(id).toMatch(/^(?!0{32})[0-9a-f]{32}$/);
        expect(id).not.toBe(traceId);
        expect(context.traceparent).toContain(id);
        expect(context).not.toHaveProperty('tracestate');
      });

      it('drops a malformed tracestate', async () => {
        const { id, context } = await callWithTrace(`00-${traceId}-${parentId}-01`, 'Rojo=1');
        expect(id).toBe(traceId);
        expect(context).not.toHaveProperty('tracestate');
      });
    });

    it('answers HEAD like GET, without a body', async () => {
      const answer = await gateway.call(`/v1/things/${id}`, { method: 'HEAD' });
      expect(answer).toMatchObject({ status: 200, body: undefined });
      expect(answer.headers.get('etag')).toBe('"3.nl"');
    });

    it('exports metrics by route pattern', async () => {
      await gateway.call(`/v1/things/${id}`);
      const metrics = (await gateway.call('/metrics')).body as string;
      const counted = metrics.split('\n').filter((line) => line.startsWith('http_requests_seconds_count'));
      expect(counted.join('\n')).toMatch(/route="\/v1\/things\/\{thingId\}",method="GET",status="200"/);
      expect(counted.join('\n')).not.toContain(id);
    });
  });

  describe('If-Match', () => {
    const change = (headers: Record<string, string>, body: object = { text: 'new' }) =>
      gateway.call(`/v1/things/${id}`, { method: 'PATCH', token: gateway.moderator, headers, body });

    it('selects the version to change', async () => {
      const answer = await change({ 'if-match': '"3.nl"' });
      expect(answer).toMatchObject({ status: 200, body: { version: 4 } });
      expect(answer.headers.get('etag')).toBe('"4.nl"');
      expect((await change({ 'if-match': '"3"' })).status).toBe(200);
    });

    it('returns 412 if the version has changed', async () => {
      expectProblem(await change({ 'if-match': '"2"' }), 412, 'version-changed');
    });

    it('is required', async () => {
      expectProblem(await change({}), 428, 'precondition-required');
    });

    it.each(['*', '"2", "3.en"', '"x", "3.nl.br"', '"3.nl", W/"9"'])('matches %s', async (value) => {
      expect(await change({ 'if-match': value })).toMatchObject({ status: 200, body: { version: 4 } });
    });

    it.each(['W/"3"', 'W/"3.nl"', '"x"', '"1", "2"', '"3.nl-br"', '"99999999999"', '"0"'])(
      'does not match %s',
      async (value) => {
        expectProblem(await change({ 'if-match': value }), 412, 'version-changed');
      },
    );

    it.each(['3', '"3', '*, "3"', '"2" "3"'])('is rejected if malformed: %s', async (value) => {
      expectProblem(await change({ 'if-match': value }), 400, 'invalid', 'If-Match');
    });

    it('cannot be combined with the same field in the body', async () => {
      expectProblem(
        await change({ 'if-match': '"3"' }, { text: 'x', version: 3 }),
        400,
        'invalid',
        'version',
      );
      expectProblem(
        await change({ 'if-match': '"3"' }, { text: 'x', thingId: id }),
        400,
        'invalid',
        'thingId',
      );
    });
  });
};
