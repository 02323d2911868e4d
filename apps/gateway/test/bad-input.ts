import { describe, expect, it } from '@jest/globals';
import { demoState } from './demo.ts';
import { type GatewayUnderTest, expectProblem, id, json } from './gateway-under-test.ts';

export const testBadInput = (gateway: GatewayUnderTest) =>
  describe('bad input', () => {
    it.each([
      ['an unknown field', { colour: 'red' }, 'colour'],
      ['a wrong type', { takes: 'soon' }, 'takes'],
      ['a wrong type inside', { lines: [{ quantity: '1' }] }, 'lines.0.quantity'],
      ['an unknown field inside', { lines: [{ quantity: 1, price: 0 }] }, 'lines.0.price'],
      ['zero', { lines: [{ quantity: 0 }] }, 'lines.0.quantity'],
      ['a negative number', { lines: [{ quantity: -1 }] }, 'lines.0.quantity'],
      ['too much', { lines: [{ quantity: 10 }] }, 'lines.0.quantity'],
      ['nothing', { lines: [] }, 'lines'],
    ])('reports the field: %s', async (_, body, field) => {
      const before = demoState.begun.length;
      expectProblem(await gateway.beginJob(body), 400, 'invalid', field);
      expect(demoState.begun).toHaveLength(before);
    });

    it('reports the query parameter', async () => {
      expectProblem(await gateway.call('/v1/things?limit=0'), 400, 'invalid', 'limit');
      expectProblem(await gateway.call('/v1/things?limit=1e2'), 400, 'invalid', 'limit');
      expectProblem(await gateway.call('/v1/things?limit='), 400, 'invalid', 'limit');
      expectProblem(await gateway.call('/v1/things?limit=1&limit=2'), 400, 'invalid', 'limit');
      expectProblem(await gateway.call('/v1/things?colour=red'), 400, 'invalid', 'colour');
      expectProblem(await gateway.call('/v1/things?__proto__=x'), 400, 'invalid', '__proto__');
      expectProblem(await gateway.call(`/v1/things/${id}?thingId=${id}`), 400, 'invalid', 'thingId');
      expectProblem(await gateway.call('/v1/things/not-an-id'), 400, 'invalid', 'thingId');
      expectProblem(await gateway.call('/v1/failures?how=throw', { body: {} }), 400, 'invalid', 'how');
      expectProblem(
        await gateway.call(`/v1/things/${id}`, {
          method: 'DELETE',
          token: gateway.operator,
          body: { sure: true },
        }),
        400,
        'invalid',
        'sure',
      );
    });

    const post = (body: string, headers: Record<string, string> = json) =>
      gateway.call('/v1/jobs', {
        method: 'POST',
        token: gateway.member,
        headers: { 'idempotency-key': 'bad', ...headers },
        body,
      });

    it.each(['{', '{"a":1,}', "{'a':1}", 'undefined', '{"a":NaN}', '\u0000'])(
      'rejects malformed JSON: %j',
      async (body) => {
        expectProblem(await post(body), 400, 'invalid-json');
      },
    );

    describe('text encoding', () => {
      // `{"token":"한"}`, in EUC-KR.
      const eucKr = Buffer.concat([Buffer.from('{"token":"'), Buffer.from([0xc7, 0xd1]), Buffer.from('"}')]);
      const send = (body: Buffer, type: string, path = '/v1/jobs') =>
        gateway.sendRaw(
          Buffer.concat([
            Buffer.from(
              `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${gateway.member}\r\n` +
                `Idempotency-Key: ${Math.random()}\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n`,
            ),
            body,
          ]),
        );

      it.each(['euc-kr', '"EUC-KR"', 'iso-8859-1', 'utf-16', 'us-ascii', 'utf-8; charset=euc-kr', ''])(
        'rejects the charset %s',
        async (charset) => {
          const answer = await send(eucKr, `application/json; charset=${charset}`);
          expect(answer).toMatch(/^HTTP\/1.1 415 [^]*"unsupported-media-type"/);
        },
      );

      it.each([
        ['EUC-KR', eucKr],
        ['half a character', Buffer.from('{"token":"한"}').subarray(0, -3)],
        ['an overlong NUL', Buffer.from([0x22, 0xc0, 0x80, 0x22])],
        ['half a surrogate pair', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
      ])('rejects text that is not UTF-8: %s', async (_, body) => {
        const before = demoState.begun.length;
        for (const type of ['application/json', 'application/json; charset=UTF-8'])
          expect(await send(body, type)).toMatch(/^HTTP\/1.1 400 [^]*"invalid-encoding"/);
        expect(demoState.begun).toHaveLength(before);
      });

      it('accepts a byte order mark', async () => {
        const body = Buffer.from(`\ufeff${JSON.stringify({ lines: [{ quantity: 1 }] })}`);
        expect(await send(body, 'application/json;charset="utf-8"')).toMatch(/^HTTP\/1.1 202 /);
      });

      it('normalises text to NFC, in the query and in the path', async () => {
        const name = encodeURIComponent('각'.normalize('NFD'));
        const { body } = await gateway.call(`/v1/things?name=${name}&tag=${name}&tag=x`);
        expect(body.seen).toMatchObject({ name: '각', tag: ['각', 'x'] });
        const own = await gateway.call(`/v1/owned/${encodeURIComponent('각'.normalize('NFD'))}`, {
          token: await gateway.key.sign({ sub: '각' }),
        });
        expect(own.body).toEqual({ yours: true });
      });
    });

    it.each(['{"__proto__":{"admin":true}}', '{"lines":[{"constructor":{"prototype":{"a":1}}}]}'])(
      'rejects prototype pollution: %s',
      async (body) => {
        expectProblem(await post(body), 400, 'invalid-json');
      },
    );

    it.each(['[]', '"text"', '1', 'null', 'true'])(
      'rejects a body that is not an object: %s',
      async (body) => {
        expectProblem(await post(body), 400, 'invalid');
      },
    );

    it('rejects a body that is nested too deeply', async () => {
      const depth = 10_000;
      expectProblem(await post(`{"lines":${'['.repeat(depth)}${']'.repeat(depth)}}`), 400, 'invalid');
    });

    it('reports missing fields if there is no body', async () => {
      const answer = await gateway.call('/v1/jobs', {
        method: 'POST',
        token: gateway.member,
        headers: { 'idempotency-key': 'none' },
      });
      expectProblem(answer, 400, 'invalid', 'lines');
    });

    it('rejects content types other than JSON', async () => {
      for (const type of [
        'text/plain',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
        'x',
      ]) {
        expectProblem(await post('{}', { 'content-type': type }), 415, 'unsupported-media-type');
      }
    });

    it('rejects bodies that are too large, with or without Content-Length', async () => {
      expectProblem(await post(JSON.stringify({ token: 'x'.repeat(65_536) })), 413, 'payload-too-large');
      const answer = await gateway.sendRaw(
        'POST /v1/failures HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n' +
          `11000\r\n${'x'.repeat(0x11000)}\r\n0\r\n\r\n`,
      );
      expect(answer).toMatch(/^HTTP\/1.1 413 /);
      expect(answer).toContain('payload-too-large');
    });

    it('rejects long URLs, long headers and requests that are not HTTP', async () => {
      expectProblem(await gateway.call(`/v1/things?name=${'x'.repeat(5_000)}`), 414, 'uri-too-long');
      const headers = await gateway.sendRaw(
        `GET /v1/things HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
      );
      expect(headers).toMatch(/^HTTP\/1.1 431 /);
      expect(headers).toContain('"code":"headers-too-large"');
      const nonsense = await gateway.sendRaw('EHLO store\r\n\r\n');
      expect(nonsense).toMatch(/^HTTP\/1.1 400 [^]*application\/problem\+json/);
    });

    it('rejects a URL that cannot be decoded', async () => {
      expectProblem(await gateway.call('/v1/things/%zz'), 400, 'invalid-url');
      expectProblem(await gateway.call('/v1/owned/%E0%A4%A', { token: gateway.member }), 400, 'invalid-url');
    });

    it('returns the rejection of a service', async () => {
      const answer = await gateway.beginJob({ token: 'tok_unknown' });
      expectProblem(answer, 422, 'unknown-token', 'token');
      expect(answer.body).toMatchObject({ detail: 'no such token', title: 'Unknown token' });
    });

    it('requires a valid Idempotency-Key', async () => {
      const body = { lines: [{ quantity: 1 }] };
      expectProblem(
        await gateway.call('/v1/jobs', { token: gateway.member, body }),
        400,
        'idempotency-key-missing',
      );
      for (const invalid of ['', 'two words', 'ü', 'x'.repeat(256)]) {
        expectProblem(
          await gateway.beginJob({}, { 'idempotency-key': invalid }),
          400,
          'invalid',
          'Idempotency-Key',
        );
      }
      expect((await gateway.beginJob({}, { 'idempotency-key': '"chosen-by-me"' })).status).toBe(202);
      expect(demoState.begun.at(-1)!.key).toBe('"chosen-by-me"');
    });
  });
