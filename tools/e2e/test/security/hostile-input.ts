import { randomUUID } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { ApiDocument, type JsonSchema, type Operation } from './api-document.ts';
import { until } from '../../src/jogakbo.ts';
import { type KnownValues } from '@jogakbo/testing/generated-values';
import { buildPath, generatePlainInput, type Input } from './made-input.ts';
import { findObjects, forbiddenFields, generateFullBody } from './spoilt-input.ts';
import { type Answer, type Store } from '../../src/store.ts';

export const hostileInput = (store: Store) =>
  describe('hostile input', () => {
    let document: ApiDocument;
    let buyer: { email: string; token: string };
    let productId: string;
    let known: KnownValues;
    const unused = randomUUID();

    beforeAll(async () => {
      document = await ApiDocument.read(store);
      buyer = await store.createMember();
      productId = await store.createProduct(1_000);
      const { orderId } = (await store.buy(buyer.token, store.buildOrder(productId))).body;
      const me = await store.call('GET', '/v1/members/me', { token: buyer.token });
      known = {
        ...{ productId: [productId], orderId: [orderId], memberId: [me.body.memberId] },
        ...{ application: ['hostile'], service: ['orders'], token: ['tok_ok'], quantity: [1], q: ['teacup'] },
        // Not used by any member, so a success would show.
        ...{ email: [`${unused}@example.com`], password: [unused], name: ['Kim'], sku: ['HOSTILE-1'] },
        ...{ 'If-Match': ['"1"'], 'Idempotency-Key': [randomUUID()], roles: ['operator'] },
      };
    });

    const getToken = ({ access }: Operation) =>
      access === 'merchant' || access === 'operator' ? store.getToken(access) : buyer.token;

    /** Sends the request with the required role, so that no rejection is due to a missing role. */
    const send = (operation: Operation, input: Input, body: unknown = input.body, headers = {}) =>
      store.call(operation.method, buildPath(operation, input), {
        token: getToken(operation),
        body,
        headers: { ...input.headers, 'Idempotency-Key': randomUUID(), ...headers },
      });
    const forEach = (some: Operation[], run: (operation: Operation) => Promise<void>) =>
      Promise.all(some.map(run));
    const listWithBody = () => document.operations.filter(({ body }) => body);

    /** Allows only declared responses, and no 5xx. */
    function findWrong(operation: Operation, what: string, answer: Answer): string[] {
      const mediaType = answer.headers.get('content-type')?.split(';')[0];
      const why =
        answer.status >= 500
          ? 'a server error'
          : document.explainMismatch(operation, { ...answer, mediaType });
      return why ? [`${operation.name}, ${what}: ${why}: ${answer.status} ${answer.text.slice(0, 300)}`] : [];
    }

    it('with an undeclared field is rejected, at every depth of every body', async () => {
      const wrong: string[] = [];
      let tried = 0;
      await forEach(listWithBody(), async (operation) => {
        const input = generatePlainInput(operation, known);
        const fullBody = generateFullBody(operation, known);
        for (const path of findObjects(operation.body!)) {
          const fields = path.reduce(
            (at, key) =>
              (typeof key === 'number' ? at['items'] : (at['properties'] as JsonSchema)[key]) as JsonSchema,
            operation.body!,
          )['properties'] as object;
          const extra = forbiddenFields.filter((name) => !(name in fields) || !Object.hasOwn(fields, name));
          for (const name of extra.filter((one) => one !== '__proto__' && one !== 'constructor')) {
            const body = structuredClone(fullBody);
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
      });
      expect(wrong).toEqual([]);
      expect(tried).toBeGreaterThan(200);
    }, 120_000);

    it('with an undeclared query parameter is rejected, with or without a body', async () => {
      const wrong: string[] = [];
      for (const operation of document.operations.filter(({ takesToken }) => takesToken)) {
        const input = generatePlainInput(operation, known);
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

    it('that would pollute a prototype is rejected, at any position', async () => {
      const wrong: string[] = [];
      for (const operation of listWithBody()) {
        const input = generatePlainInput(operation, known);
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
            wrong.push(...findWrong(operation, body, answer));
          }
        }
      }
      expect(wrong).toEqual([]);
      const me = await store.call('GET', '/v1/members/me', { token: buyer.token });
      expect(me.body.roles).toEqual(['member']);
      expect((await store.call('GET', '/v1/ops/audit', { token: buyer.token })).status).toBe(403);
    }, 60_000);

    it('that is huge, deep, compressed or not JSON is rejected by every route with a body', async () => {
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
      for (const operation of listWithBody()) {
        const input = generatePlainInput(operation, known);
        for (const [what, body, headers, statuses] of expected) {
          const answer = await send(operation, input, body, headers);
          if (!statuses.includes(answer.status))
            wrong.push(`${operation.name}, ${what}: ${answer.status} ${answer.text.slice(0, 300)}`);
          wrong.push(...findWrong(operation, what, answer));
        }
      }
      expect(wrong).toEqual([]);
    }, 120_000);

    it('with an injection in a text field is rejected or stored as text', async () => {
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
      // Without sign-outs and deletions, which would affect the other requests.
      const harmless = document.operations.filter(
        ({ takesToken, method }) => takesToken && method !== 'DELETE',
      );
      await forEach(harmless, async (operation) => {
        const input = generatePlainInput(operation, known);
        const fields = [
          ...Object.keys((operation.body?.['properties'] ?? {}) as object).map(
            (name) => ['body', name] as const,
          ),
          ...operation.parameters
            .filter((one) => one.in !== 'header')
            .map((one) => [one.in as 'path' | 'query', one.name] as const),
        ];
        for (const [part, name] of fields) {
          const some =
            fields.length * injections.length > 100
              ? injections.filter((_, at) => at % 2 === name.length % 2)
              : injections;
          for (const text of some) {
            if (part !== 'body' && !text.isWellFormed()) continue;
            const malformed = { ...input, [part]: { ...(input[part] as object), [name]: text } };
            const answer = await send(operation, malformed);
            wrong.push(...findWrong(operation, `${name}=${JSON.stringify(text).slice(0, 60)}`, answer));
            if (answer.headers.get('set-cookie')) wrong.push(`${operation.name}, ${name}: sets a cookie`);
          }
        }
      });
      expect(wrong).toEqual([]);
    }, 180_000);

    it('with an invalid number changes no stock and no order', async () => {
      const before = await store.readAvailable(productId);
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
        const { expectedTotal: _, ...body } = store.buildOrder(productId);
        const order = JSON.stringify(body).replace('"quantity":1', `"quantity":${quantity}`);
        const answer = await store.buy(buyer.token, order);
        if (quantity !== '1e3')
          expect({ quantity, status: answer.status }).toEqual({ quantity, status: 400 });
        else expect(answer.body).toMatchObject({ status: 'rejected', rejection: 'out-of-stock' });
        if (quantity === '1e3' || quantity === '1001') continue;
        const receipt = await store.call('POST', `/v1/stock/${productId}/receipts`, {
          token: store.getToken('merchant'),
          headers: { 'idempotency-key': randomUUID() },
          body: `{"quantity":${quantity}}`,
        });
        statuses.add(receipt.status);
      }
      expect([...statuses]).toEqual([400]);
      await until(async () => (await store.readAvailable(productId)) === before);
    });

    it('has no effect: no elevated role, no other price, no dead letters, and the store sells', async () => {
      const credentials = { email: `${unused}@example.com`, password: unused };
      const { status } = await store.call('GET', `/v1/products/${productId}`);
      expect(status).toBe(200);
      const { body } = await store.buy(buyer.token, store.buildOrder(productId));
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
