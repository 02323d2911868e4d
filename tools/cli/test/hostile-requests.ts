import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { ApiDocument, type JsonSchema, type Operation } from './api-document.ts';
import { until } from './jogakbo.ts';
import { pathOf, plainInput, type Input, type Things } from './made-input.ts';
import { strangeFields } from './spoilt-input.ts';
import { type Answer, type Store } from './store.ts';

const get = (target: string, ...headers: string[]) =>
  [`GET ${target} HTTP/1.1`, 'Host: x', 'Connection: close', ...headers, '', ''].join('\r\n');
const problem = (status: number | string) =>
  new RegExp(`^HTTP/1\\.1 ${status} [^]*content-type: application/problem\\+json`, 'i');

export const hostileRequests = (store: Store) =>
  describe('hostile requests', () => {
    let document: ApiDocument;
    let buyer: { email: string; token: string };
    let productId: string;
    let things: Things;
    const stranger = randomUUID();

    beforeAll(async () => {
      document = await ApiDocument.read(store);
      buyer = await store.member();
      productId = await store.product(1_000);
      const { orderId } = (await store.buy(buyer.token, store.order(productId))).body;
      const me = await store.call('GET', '/v1/members/me', { token: buyer.token });
      things = {
        ...{ productId: [productId], orderId: [orderId], memberId: [me.body.memberId] },
        ...{ application: ['hostile'], service: ['orders'], token: ['tok_ok'], quantity: [1], q: ['teacup'] },
        // Never what a member has: none of these may become true.
        ...{ email: [`${stranger}@example.com`], password: [stranger], name: ['Kim'], sku: ['HOSTILE-1'] },
        ...{ 'If-Match': ['"1"'], 'Idempotency-Key': [randomUUID()], roles: ['operator'] },
      };
    });

    const tokenFor = ({ access }: Operation) =>
      access === 'merchant' || access === 'operator' ? store.staff(access) : buyer.token;

    /** As the one who may use it: nothing is refused for want of a right. */
    const send = (operation: Operation, input: Input, body: unknown = input.body, headers = {}) =>
      store.call(operation.method, pathOf(operation, input), {
        token: tokenFor(operation),
        body,
        headers: { ...input.headers, 'Idempotency-Key': randomUUID(), ...headers },
      });
    const withBody = () => document.operations.filter(({ body }) => body);

    /** What is not as it must be: no 5xx, and of a refusal the form and a status that the document declares. */
    function wrongOf(operation: Operation, what: string, answer: Answer): string[] {
      const mediaType = answer.headers.get('content-type')?.split(';')[0];
      const why = answer.status >= 500 ? 'a fault' : document.whyNot(operation, { ...answer, mediaType });
      return why ? [`${operation.name}, ${what}: ${why}: ${answer.status} ${answer.text.slice(0, 300)}`] : [];
    }

    /** Every object of a schema, with the path that leads to it. */
    function objectsOf(schema: JsonSchema, path: (string | number)[] = []): (string | number)[][] {
      const { properties, items } = schema as { properties?: Record<string, JsonSchema>; items?: JsonSchema };
      if (items) return objectsOf(items, [...path, 0]);
      if (!properties) return [];
      return [
        path,
        ...Object.entries(properties).flatMap(([name, child]) => objectsOf(child, [...path, name])),
      ];
    }

    /** A whole body, with what may be left out as well, so that each of its objects can be reached. */
    function wholeBody(operation: Operation): Record<string, unknown> {
      const all = (schema: JsonSchema): JsonSchema => ({
        ...schema,
        ...(schema['properties'] !== undefined && {
          required: Object.keys(schema['properties'] as object),
          properties: Object.fromEntries(
            Object.entries(schema['properties'] as Record<string, JsonSchema>).map(([name, one]) => [
              name,
              all(one),
            ]),
          ),
        }),
        ...(schema['items'] !== undefined && { items: all(schema['items'] as JsonSchema), minItems: 1 }),
      });
      return plainInput({ ...operation, body: all(operation.body!) }, things).body as Record<string, unknown>;
    }

    it('that set what is not theirs to set are refused, at every depth of every body', async () => {
      const wrong: string[] = [];
      let tried = 0;
      for (const operation of withBody()) {
        const input = plainInput(operation, things);
        for (const path of objectsOf(operation.body!)) {
          const known = path.reduce(
            (at, key) =>
              (typeof key === 'number' ? at['items'] : (at['properties'] as JsonSchema)[key]) as JsonSchema,
            operation.body!,
          )['properties'] as object;
          const extra = strangeFields.filter((name) => !(name in known) || !Object.hasOwn(known, name));
          for (const name of extra.filter((one) => one !== '__proto__' && one !== 'constructor')) {
            const body = wholeBody(operation);
            const owner = path.reduce(
              (at, key) => at[key] as never,
              body as Record<string | number, unknown>,
            );
            owner[name] = name === 'roles' ? ['operator'] : name === 'status' ? 'confirmed' : 1;
            const answer = await send(operation, input, body);
            tried += 1;
            const field = [...path, name].join('.');
            const named = answer.body?.errors?.some((one: { path: string }) => one.path === field);
            if (answer.status !== 400 || !named)
              wrong.push(`${operation.name}, ${field}: ${answer.status} ${answer.text.slice(0, 300)}`);
          }
        }
      }
      expect(wrong).toEqual([]);
      expect(tried).toBeGreaterThan(200);
    }, 120_000);

    it('that set it in the query, beside a body or without one, are refused', async () => {
      const wrong: string[] = [];
      for (const operation of document.operations.filter(({ takesToken }) => takesToken)) {
        const input = plainInput(operation, things);
        for (const name of ['memberId', 'roles', 'status', 'total', '__proto__', 'constructor', 'a[b]']) {
          if (operation.parameters.some((one) => one.name === name)) continue;
          const query = Object.defineProperty({ ...input.query }, name, { value: 'x', enumerable: true });
          const answer = await send(operation, { ...input, query });
          if (answer.status !== 400)
            wrong.push(...[`${operation.name}?${name}: ${answer.status} ${answer.text}`]);
        }
      }
      expect(wrong).toEqual([]);
    }, 60_000);

    it('that would poison a prototype are refused, wherever it stands', async () => {
      const wrong: string[] = [];
      for (const operation of withBody()) {
        const input = plainInput(operation, things);
        const [first] = Object.keys(input.body as object);
        for (const poison of [
          '"__proto__":{"roles":["operator"]}',
          '"constructor":{"prototype":{"roles":[]}}',
        ]) {
          const good = JSON.stringify(input.body).slice(1);
          for (const body of [
            `{${poison},${good}`,
            `{"${first}":{${poison}}}`,
            `{"${first}":[{"a":{${poison}}}]}`,
            `[{${poison}}]`,
          ]) {
            const answer = await send(operation, input, body);
            if (answer.status !== 400)
              wrong.push(`${operation.name} ${body}: ${answer.status} ${answer.text}`);
            wrong.push(...wrongOf(operation, body, answer));
          }
        }
      }
      expect(wrong).toEqual([]);
      const me = await store.call('GET', '/v1/members/me', { token: buyer.token });
      expect(me.body.roles).toEqual(['member']);
      expect((await store.call('GET', '/v1/ops/audit', { token: buyer.token })).status).toBe(403);
    }, 60_000);

    it('that are huge, deep, compressed or no JSON are refused by every route that takes a body', async () => {
      const wrong: string[] = [];
      const bomb = gzipSync(Buffer.alloc(30_000_000));
      const expected: [string, unknown, Record<string, string>, number[]][] = [
        ['huge', { a: 'x'.repeat(70_000) }, {}, [413]],
        ['deep', `{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}`, {}, [400]],
        ['deep objects', `${'{"a":'.repeat(8_000)}1${'}'.repeat(8_000)}`, {}, [400]],
        ['many fields', Object.fromEntries(Array.from({ length: 4_000 }, (_, i) => [`f${i}`, i])), {}, [400]],
        ['a bomb', bomb.toString('latin1').slice(0, 30_000), { 'content-encoding': 'gzip' }, [400, 415]],
        ['a form', 'a=1', { 'content-type': 'application/x-www-form-urlencoded' }, [415]],
        ['a text', '{}', { 'content-type': 'text/plain' }, [415]],
        [
          'XML',
          '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
          { 'content-type': 'application/xml' },
          [415],
        ],
        ['parts', '--x\r\n\r\n--x--', { 'content-type': 'multipart/form-data; boundary=x' }, [415]],
        ['no type at all', '{}', { 'content-type': '' }, [415]],
        [
          'UTF-16',
          Buffer.from('{"a":1}', 'utf16le').toString('latin1'),
          { 'content-type': 'application/json; charset=utf-16' },
          [400, 415],
        ],
        ['a list', [], {}, [400]],
        ['null', 'null', {}, [400]],
        ['broken', '{"a":', {}, [400]],
        ['a number without end', `{"a":${'9'.repeat(30_000)}}`, {}, [400]],
      ];
      for (const operation of withBody()) {
        const input = plainInput(operation, things);
        for (const [what, body, headers, statuses] of expected) {
          const answer = await send(operation, input, body, headers);
          if (!statuses.includes(answer.status))
            wrong.push(`${operation.name}, ${what}: ${answer.status} ${answer.text.slice(0, 300)}`);
          wrong.push(...wrongOf(operation, what, answer));
        }
      }
      expect(wrong).toEqual([]);
    }, 120_000);

    it('that inject into a text field do nothing but fill it, or are refused', async () => {
      const injections = [
        ...[
          "' OR '1'='1",
          "'; DROP TABLE product; --",
          "1'; SELECT pg_sleep(10); --",
          '{"$gt":""}',
          '[$ne]=1',
        ],
        ...[
          '*)(uid=*))(|(uid=*',
          '${7*7}{{7*7}}<%= 7*7 %>#{7*7}',
          '${jndi:ldap://127.0.0.1:1/a}',
          '`id`;$(id)|id',
        ],
        ...[
          'a\r\nSet-Cookie: x=1\r\n\r\n<html>',
          'a@example.com\r\nBcc: b@example.com',
          '../../../../etc/passwd',
        ],
        ...[
          '<script>alert(1)</script>',
          'a\u0000b',
          '\ud800',
          '\u202e\ufeff\u200b',
          '%00%0d%0a',
          '__proto__',
          'x'.repeat(5_000),
        ],
      ];
      const wrong: string[] = [];
      for (const operation of document.operations.filter(({ takesToken }) => takesToken)) {
        // What it would sign out or take away would be missed by the others.
        if (operation.method === 'DELETE') continue;
        const input = plainInput(operation, things);
        const fields = [
          ...Object.keys((operation.body?.['properties'] ?? {}) as object).map(
            (name) => ['body', name] as const,
          ),
          ...operation.parameters
            .filter((one) => one.in !== 'header')
            .map((one) => [one.in as 'path' | 'query', one.name] as const),
        ];
        for (const [part, name] of fields) {
          const one =
            fields.length * injections.length > 100
              ? injections.filter((_, at) => at % 2 === name.length % 2)
              : injections;
          for (const text of one) {
            if (part !== 'body' && !text.isWellFormed()) continue;
            const spoilt = { ...input, [part]: { ...(input[part] as object), [name]: text } };
            const answer = await send(operation, spoilt);
            wrong.push(...wrongOf(operation, `${name}=${JSON.stringify(text).slice(0, 60)}`, answer));
            if (answer.headers.get('set-cookie')) wrong.push(`${operation.name}, ${name}: sets a cookie`);
          }
        }
      }
      expect(wrong).toEqual([]);
    }, 180_000);

    it('that ask for impossible numbers change no stock and no order', async () => {
      const before = await store.available(productId);
      const numbers = [
        '0',
        '-1',
        '0.5',
        '1e3',
        '1e308',
        '1e400',
        '-1e400',
        '9007199254740993',
        '99999999999999999999',
        '1001',
        '"1"',
        '"1e2"',
        'null',
        '[1]',
        'true',
        '-0',
        '{"valueOf":1}',
      ];
      const statuses = new Set<number>();
      for (const quantity of numbers) {
        const order = JSON.stringify(store.order(productId)).replace(
          '"quantity":1',
          `"quantity":${quantity}`,
        );
        const answer = await store.buy(buyer.token, order);
        if (quantity !== '1e3')
          expect({ quantity, status: answer.status }).toEqual({ quantity, status: 400 });
        else expect(answer.body).toMatchObject({ status: 'rejected', rejection: 'out-of-stock' });
        if (quantity === '1e3' || quantity === '1001') continue;
        const receipt = await store.call('POST', `/v1/stock/${productId}/receipts`, {
          token: store.staff('merchant'),
          headers: { 'idempotency-key': randomUUID() },
          body: `{"quantity":${quantity}}`,
        });
        statuses.add(receipt.status);
      }
      expect([...statuses]).toEqual([400]);
      await until(async () => (await store.available(productId)) === before);
    });

    it('that take the long way round reach nothing', async () => {
      const targets = [
        ...[
          '/v1/products/../ops/audit',
          '/v1/%2e%2e/v1/ops/audit',
          '/v1/products/%2e%2e/ops/audit',
          '/v1/./ops/audit',
        ],
        ...[
          '/v1//ops/audit',
          '//v1/ops/audit',
          '/v1/ops//audit',
          '/v1/ops/audit/',
          '/v1/ops/audit;x=1',
          '/v1/ops;/audit',
        ],
        ...[
          '/v1/products/..;/ops/audit',
          '/v1/ops%2faudit',
          '/v1%2fops%2faudit',
          '/v1/ops/audit%00',
          '/v1/ops/audit%20',
        ],
        ...[
          '/V1/OPS/AUDIT',
          '/v1/%6fps/audit',
          '/v1/ops/%61udit',
          '/v1\\ops\\audit',
          '/v1/ops/audit%2e',
          '/v1/ops/audit.json',
        ],
        ...[
          '/v1/ops/audit%3f',
          '/v1/ops/audit#',
          '/%76%31/ops/audit',
          '/v1/ops/\u0430udit',
          '/v1/ops/%c0%afaudit',
        ],
        ...[
          '/v1/%c0%ae%c0%ae/ops/audit',
          '/v1/%252e%252e/ops/audit',
          '/v1/ops/audit?/../../public',
          '*',
          'v1/ops/audit',
        ],
        ...[
          'http://127.0.0.1/v1/ops/audit',
          'https://evil.example/v1/ops/audit',
          '/.git/config',
          '/.env',
          '/package.json',
        ],
        ...[
          '/v1/ops/audit%0d%0aX:%201',
          '/__proto__',
          '/constructor/prototype',
          `/v1/${'../'.repeat(50)}etc/passwd`,
        ],
        ...[
          `/${'a'.repeat(5_000)}`,
          '/v1/orders/%00',
          `/v1/orders/${things.orderId![0]}/../../ops/audit`,
          '/%',
          '/%zz',
          '/v1/orders/%ff',
        ],
      ];
      for (const target of targets)
        for (const token of [undefined, buyer.token]) {
          const answer = await store.raw(
            get(Buffer.from(target).toString('latin1'), ...(token ? [`Authorization: Bearer ${token}`] : [])),
          );
          expect({ target, answer }).toEqual({ target, answer: expect.stringMatching(problem('4\\d\\d')) });
          expect(answer).not.toContain('"auditId"');
        }
    }, 60_000);

    it('that smuggle a second one get one answer, and the connection is closed', async () => {
      const inner = `GET /v1/members/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${buyer.token}\r\n\r\n`;
      const post = (...headers: string[]) =>
        ['POST /v1/sessions HTTP/1.1', 'Host: x', 'Content-Type: application/json', ...headers, '', ''].join(
          '\r\n',
        );
      const chunks = `0\r\n\r\n${inner}`;
      const shapes: Record<string, string> = {
        'length and chunks': post('Content-Length: 6', 'Transfer-Encoding: chunked') + chunks,
        'chunks and length': post('Transfer-Encoding: chunked', 'Content-Length: 6') + chunks,
        'two lengths': post('Content-Length: 0', `Content-Length: ${inner.length}`) + inner,
        'the same length twice': post('Content-Length: 0', 'Content-Length: 0') + inner,
        'two lengths in one': post(`Content-Length: 0, ${inner.length}`) + inner,
        'a negative length': post('Content-Length: -1') + inner,
        'a length with a sign': post('Content-Length: +0') + inner,
        'a length that is no number': post('Content-Length: 0x10') + inner,
        'an endless length': post(`Content-Length: ${'9'.repeat(40)}`) + inner,
        'chunks that are no number': post('Transfer-Encoding: chunked') + `zz\r\n\r\n${inner}`,
        'a chunk with a sign': post('Transfer-Encoding: chunked') + `-1\r\n${inner}`,
        'an endless chunk': post('Transfer-Encoding: chunked') + `${'f'.repeat(30)}\r\n${inner}`,
        'another coding': post('Transfer-Encoding: xchunked') + chunks,
        'chunks that are not last': post('Transfer-Encoding: chunked, identity') + chunks,
        'a coding with a space before its colon': post('Transfer-Encoding : chunked') + chunks,
        'a folded coding': post('Transfer-Encoding:\r\n chunked', 'Content-Length: 6') + chunks,
        'a header without a name': post(': x', 'Content-Length: 0') + inner,
        'a bare line feed': post('X: a\nContent-Length: 5').replace('\r\n\r\n', '\n\n') + inner,
        'a NUL in a header': post('X: a\0b', 'Content-Length: 0') + inner,
        'two hosts': post('Host: y', 'Content-Length: 0', 'Connection: close') + inner,
        'no host': 'POST /v1/sessions HTTP/1.1\r\nContent-Length: 0\r\n\r\n' + inner,
        'HTTP/0.9': `GET /v1/members/me\r\n\r\n${inner}`,
        'HTTP/2.0': `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${inner}`,
        'a change of protocol': get('/v1/members/me', 'Upgrade: websocket', 'Connection: Upgrade'),
        'a tunnel': 'CONNECT 127.0.0.1:5432 HTTP/1.1\r\nHost: x\r\n\r\n' + inner,
      };
      for (const [what, bytes] of Object.entries(shapes)) {
        const answer = await store.raw(bytes);
        expect({ what, answer: answer.slice(0, 12) }).toEqual({
          what,
          answer: expect.stringMatching(/^(HTTP\/1\.1 (4\d\d|501))?$/),
        });
        expect({ what, answers: answer.split('HTTP/1.1 ').length - 1 }).toEqual({
          what,
          answers: answer ? 1 : 0,
        });
        expect(answer).not.toContain(buyer.email);
      }
    }, 60_000);

    it('with too many headers, too long ones or the same twice are refused, or the first holds', async () => {
      expect(await store.raw(get('/v1/products', `X: ${'x'.repeat(20_000)}`))).toMatch(problem(431));
      expect(await store.raw(get('/v1/products', ...Array(1_000).fill('X: 1')))).toMatch(problem(431));
      expect(await store.raw(get('/v1/products', ...Array(90).fill(`X: ${'x'.repeat(300)}`)))).toMatch(
        problem(431),
      );
      const body = JSON.stringify(store.order(productId));
      const twice = (...headers: string[]) =>
        store.raw(
          [
            'POST /v1/orders HTTP/1.1',
            'Host: x',
            'Connection: close',
            `Content-Length: ${body.length}`,
            `Authorization: Bearer ${buyer.token}`,
            ...headers,
            '',
            body,
          ].join('\r\n'),
        );
      const type = 'Content-Type: application/json';
      expect(await twice(type, 'Idempotency-Key: a', 'Idempotency-Key: b')).toMatch(problem(400));
      expect(await twice('Content-Type: text/plain', type, 'Idempotency-Key: c')).toMatch(problem(415));
    });

    it('that say that they mean another method, or come from elsewhere, are what they are', async () => {
      const merchant = store.staff('merchant');
      for (const name of ['x-http-method-override', 'x-http-method', 'x-method-override', '_method']) {
        const headers = { [name]: 'DELETE', 'if-match': '"1"', 'idempotency-key': randomUUID() };
        expect(
          (await store.call('GET', `/v1/products/${productId}`, { token: merchant, headers })).status,
        ).toBe(200);
        const posted = await store.call('POST', `/v1/products/${productId}`, {
          token: merchant,
          headers,
          body: {},
        });
        expect(posted.status).toBe(405);
        const asked = await store.call('GET', `/v1/products/${productId}?_method=DELETE`, {
          token: merchant,
          headers,
        });
        expect(asked.status).toBe(400);
      }
      expect((await store.call('GET', `/v1/products/${productId}`)).status).toBe(200);
    });

    it('that say who they are in any header but one are nobody', async () => {
      const operator = JSON.stringify({ memberId: things.memberId![0], roles: ['operator'] });
      const claims = {
        ...Object.fromEntries(
          [
            'x-jogakbo-member',
            'x-member-id',
            'x-user-id',
            'x-user',
            'x-remote-user',
            'remote-user',
            'memberid',
            'user-id',
          ].map((name) => [name, String(things.memberId![0])]),
        ),
        ...Object.fromEntries(
          ['x-jogakbo-roles', 'x-roles', 'x-role', 'roles'].map((name) => [name, 'operator']),
        ),
        ...Object.fromEntries(
          ['caller', 'x-caller', 'x-jogakbo-caller', 'context'].map((name) => [name, operator]),
        ),
        ...{
          'x-original-url': '/v1/products',
          'x-rewrite-url': '/v1/products',
          'x-forwarded-user': 'operator',
        },
        ...{
          'x-forwarded-host': 'evil.example',
          'x-forwarded-prefix': '/v1/products',
          'x-ssl-client-verify': 'SUCCESS',
        },
      };
      expect((await store.call('GET', '/v1/members/me', { headers: claims })).status).toBe(401);
      expect((await store.call('GET', '/v1/ops/audit', { headers: claims })).status).toBe(401);
      const { token } = await store.member();
      expect((await store.call('GET', '/v1/ops/audit', { token, headers: claims })).status).toBe(403);
      const me = await store.call('GET', '/v1/members/me', { token, headers: claims });
      expect(me.body).toMatchObject({ roles: ['member'] });
      expect(me.body.memberId).not.toBe(things.memberId![0]);
      expect(me.text + JSON.stringify([...me.headers])).not.toContain('evil.example');
    });

    it('that say where they come from are counted, and kept, as from where they come', async () => {
      const left = async (address: string) => {
        const headers = {
          'x-forwarded-for': address,
          forwarded: `for=${address}`,
          'x-real-ip': address,
          'true-client-ip': address,
          'cf-connecting-ip': address,
        };
        const { headers: answered } = await store.call('GET', '/v1/products?limit=1', { headers });
        return Number(/"address";r=(\d+)/.exec(answered.get('ratelimit')!)![1]);
      };
      const first = await left('203.0.113.1');
      const second = await left('203.0.113.2');
      // A new window may have begun between them; two windows would not.
      expect(second < first || (await left('203.0.113.3')) < second).toBe(true);
      const { email, token } = await store.member();
      const headers = {
        'x-forwarded-for': '203.0.113.4',
        forwarded: 'for=203.0.113.4',
        address: '203.0.113.4',
      };
      await store.call('POST', '/v1/sessions', { headers, body: { email, password: 'not this one' } });
      const { memberId } = (await store.call('GET', '/v1/members/me', { token })).body;
      const { body } = await store.call('GET', `/v1/ops/audit?memberId=${memberId}`, {
        token: store.staff('operator'),
      });
      expect(new Set(body.items.map(({ address }: { address: string }) => address))).toEqual(
        new Set(['127.0.0.1']),
      );
    });

    it('that trickle are cut off, hundreds of them, and the others go on buying meanwhile', async () => {
      const beginnings = [
        'GET /v1/products HTTP/1.1\r\nHost: x\r\nX-Slow: ',
        'POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50000\r\n\r\n{"email":"',
        'POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n',
        '',
      ];
      const slow = Array.from({ length: 300 }, (_, nth) => {
        const beginning = beginnings[nth % beginnings.length]!;
        const socket = connect(store.port, '127.0.0.1', () => socket.write(beginning));
        let answer = '';
        socket.on('data', (data) => (answer += data.toString())).on('error', () => {});
        const timer = setInterval(
          () =>
            socket.writable && beginning && socket.write(beginning.endsWith('\r\n\r\n') ? '1\r\nx\r\n' : 'x'),
          500,
        );
        return new Promise<string>((resolve) =>
          socket.once('close', () => {
            clearInterval(timer);
            resolve(answer);
          }),
        );
      });
      for (let bought = 0; bought < 5; bought += 1)
        expect((await store.buy(buyer.token, store.order(productId))).body.status).toBe('confirmed');
      const answers = await Promise.all(slow);
      expect(new Set(answers.map((answer) => answer.slice(0, 12)))).toEqual(new Set(['HTTP/1.1 408']));
      for (const answer of answers) expect(answer).toMatch(problem(408));
    }, 60_000);

    it('have had no effect: nobody has signed up, nothing was sold for another price, and the store sells', async () => {
      const credentials = { email: `${stranger}@example.com`, password: stranger };
      const { status } = await store.call('GET', `/v1/products/${productId}`);
      expect(status).toBe(200);
      const { body } = await store.buy(buyer.token, store.order(productId));
      expect(body).toMatchObject({ status: 'confirmed', total: { amount: 12_000, currency: 'KRW' } });
      const orders = await store.call('GET', '/v1/orders?limit=100', { token: buyer.token });
      const totals = orders.body.items.map(
        ({ total, lines }: { total: { amount: number }; lines: { quantity: number }[] }) =>
          total.amount / lines[0]!.quantity,
      );
      expect(new Set(totals)).toEqual(new Set([12_000]));
      const token = (await store.call('POST', '/v1/sessions', { body: credentials })).body?.accessToken;
      if (token)
        expect((await store.call('GET', '/v1/members/me', { token })).body.roles).toEqual(['member']);
      const { output } = await store.run(['dead', 'list', '--json']);
      expect((JSON.parse(output) as { total: number }).total).toBe(0);
    });
  });
