import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Pool } from 'undici';
import { ApiDocument, type Operation } from './api-document.ts';
import { until } from '../../src/jogakbo.ts';
import { type KnownValues } from '@jogakbo/testing/generated-values';
import { generateInput, buildPath, type Input } from './made-input.ts';
import { generateMalformedInput } from './spoilt-input.ts';
import { readStaff } from '@jogakbo/cli/src/supervisor/staff.ts';
import { openState } from '@jogakbo/cli/src/supervisor/state.ts';
import { type Store } from '../../src/store.ts';

const requests = Number(process.env['RANDOM_REQUESTS'] ?? (process.env['TEST_FULL'] ? 50_000 : 1_500));
const seed = Number(process.env['RANDOM_SEED'] ?? 20_261_122);
const clients = 24;
/** A token is valid for ten minutes. */
const signInIntervalMs = 240_000;

const roles = ['anonymous', 'member', 'merchant', 'operator'] as const;
type Role = (typeof roles)[number];

interface Request {
  as: Role;
  /** `GET /v1/orders` */
  name: string;
  input: Input;
  /** Sent instead of the body of the input. */
  text: string | undefined;
  headers: Record<string, string>;
}

/** Must run last: its failed sign-ins block new sign-ins from this address for a quarter of an hour. */
export const randomRequests = (store: Store) =>
  describe('random requests', () => {
    let document: ApiDocument;
    let pool: Pool;
    let known: KnownValues;
    const tokens = new Map<Role, string>();
    /** Token for requests that end a session. */
    let tokenToEnd: string;
    const count = { good: 0, all: 0 };
    const countByName = new Map<string, number>();
    const readRestarts = async () =>
      (await store.listRows()).map(({ service, restarts }) => [service, restarts]);
    let restartsBefore: unknown[];

    const signIn = async (role: Role, email: string, password: string) =>
      tokens.set(role, await store.signIn(email, password));
    let renewing: NodeJS.Timeout;

    beforeAll(async () => {
      document = await ApiDocument.read(store);
      pool = new Pool(`http://127.0.0.1:${store.port}`, { connections: clients });
      const credentials = { email: `${randomUUID()}@example.com`, password: randomUUID() };
      await store.call('POST', '/v1/members', { body: { ...credentials, name: 'Kim Jogak' } });
      const renew = async () => {
        await signIn('member', credentials.email, credentials.password);
        for (const { email, password, roles } of readStaff(openState(store.home)))
          await signIn(roles.at(-1) as Role, email, password);
      };
      await renew();
      renewing = setInterval(() => void renew(), signInIntervalMs);
      known = await createValues(credentials);
      restartsBefore = await readRestarts();
    }, 60_000);
    afterAll(async () => {
      clearInterval(renewing);
      await pool?.close();
    });

    /** Creates resources, so that many random requests succeed. */
    async function createValues(credentials: { email: string; password: string }): Promise<KnownValues> {
      const productId = await Promise.all(Array.from({ length: 8 }, () => store.createProduct(100_000)));
      const token = tokens.get('member')!;
      const orders = await Promise.all(productId.map((one) => store.buy(token, store.buildOrder(one))));
      const other = await store.createMember();
      const me = await store.call('GET', '/v1/members/me', { token: other.token });
      tokenToEnd = (await store.createMember()).token;
      return {
        productId: [...productId, randomUUID()],
        orderId: [...orders.map(({ body }) => body.orderId), randomUUID()],
        memberId: [me.body.memberId, randomUUID()],
        email: [credentials.email, `${randomUUID()}@example.com`],
        password: [credentials.password, 'another password'],
        refreshToken: ['x'.repeat(43)],
        application: ['matrix', 'search', 'application'],
        profile: ['default'],
        label: ['main'],
        key: ['logLevel', 'some.key'],
        service: ['orders', 'search'],
        token: ['tok_ok', 'tok_declined', 'tok_insufficient_funds', 'tok_flaky', 'tok_commit_then_drop'],
        country: ['KR'],
        currency: ['KRW'],
        category: ['tests', 'teacups'],
        q: ['teacup', '찻잔', '조각보'],
        ...{ from: [0, 1], to: [1, 2] },
        ...{ version: [1, 2, 3], quantity: [1, 2] },
        'If-Match': ['"1"', '"2"', '"3.ko"', '*', 'W/"1"'],
        'Idempotency-Key': ['one', 'two', 'three'],
        Prefer: ['wait=0', 'wait=1', 'respond-async', 'wait=x'],
        'Accept-Language': ['ko', 'en', '*', 'fr;q=0.1, en;q=x'],
      };
    }

    const latin = fc.string({
      maxLength: 60,
      unit: fc
        .integer({ min: 0x20, max: 0xfe })
        .map((code) => (code === 0x7f ? ' ' : String.fromCharCode(code))),
    });
    const extraHeaders = fc.oneof(
      { weight: 4, arbitrary: fc.constant({}) },
      {
        weight: 1,
        arbitrary: fc.record(
          {
            'if-none-match': fc.constantFrom('*', '"1"', 'W/"x"'),
            'cache-control': fc.constantFrom('no-cache', 'max-age=0', '"'),
            accept: fc.constantFrom('*/*', 'text/html', 'application/xml', ''),
            authorization: fc.oneof(
              latin,
              latin.map((text) => `Bearer ${text}`),
            ),
            traceparent: latin,
            'x-request-id': latin,
            'idempotency-key': latin,
            'if-match': latin,
            prefer: latin,
            'accept-language': latin,
          },
          { requiredKeys: [], noNullPrototype: true },
        ) as fc.Arbitrary<Record<string, string>>,
      },
    );

    function generateRequest(operation: Operation): fc.Arbitrary<Request> {
      const permitted = operation.access === 'owner' ? 'member' : operation.access;
      const as = fc.oneof(
        { weight: 2, arbitrary: fc.constantFrom(...roles) },
        { weight: 3, arbitrary: fc.constant((permitted === 'public' ? 'anonymous' : permitted) as Role) },
      );
      const takesBody = !['GET', 'DELETE'].includes(operation.method);
      return fc.record({
        as,
        name: fc.constant(operation.name),
        input: fc.oneof(
          generateInput(operation, { known, plain: false }),
          generateMalformedInput(operation, known),
        ),
        text: takesBody
          ? fc.oneof(
              { weight: 15, arbitrary: fc.constant(undefined) },
              { weight: 1, arbitrary: fc.oneof(fc.string({ maxLength: 40 }), fc.json({ maxDepth: 2 })) },
            )
          : fc.constant(undefined),
        headers: extraHeaders,
      });
    }

    async function send({ as, name, input, text, headers }: Request) {
      const operation = document.getOperation(name);
      const body = text ?? (input.body === undefined ? undefined : JSON.stringify(input.body));
      const token = tokens.has(as) && endsSession(name) ? tokenToEnd : tokens.get(as);
      const given = Object.entries(input.headers).map(([name, value]) => [
        name.toLowerCase(),
        toAscii(value),
      ]);
      const answer = await pool.request({
        method: operation.method as 'GET',
        path: buildPath(operation, input),
        headers: {
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(token && { authorization: `Bearer ${token}` }),
          ...Object.fromEntries(given),
          ...headers,
        },
        ...(body !== undefined && { body }),
        headersTimeout: 40_000,
      });
      const mediaType = String(answer.headers['content-type'] ?? '').split(';')[0] || undefined;
      return { status: answer.statusCode, mediaType, text: await answer.body.text() };
    }

    /** Requests that delete data or need a step-up are rare, because they affect the others. */
    const getWeight = ({ method, responses }: Operation): number =>
      method === 'DELETE' || JSON.stringify(responses['401'] ?? '').includes('step-up-required') ? 1 : 10;

    it('have a document with every field of every response, except in documents of other standards', () => {
      expect(document.undeclared).toEqual([
        'GET /openapi.json 200',
        'GET /asyncapi.json 200',
        // JSON Schemas are in it.
        'GET /v1/ops/contracts/{service}/{hash} 200.contract.*',
      ]);
    });

    it(`get only declared responses, ${requests} of them (seed ${seed})`, async () => {
      const request = fc.oneof(
        ...document.operations.map((one) => ({ weight: getWeight(one), arbitrary: generateRequest(one) })),
      );
      const property = fc.asyncProperty(request, async (one) => {
        const answer = await send(one);
        countByName.set(one.name, (countByName.get(one.name) ?? 0) + 1);
        count.all += 1;
        if (answer.status < 300) count.good += 1;
        // `overloaded` is the only allowed server error.
        const isFault = answer.status >= 500 && !answer.text.includes('"code":"overloaded"');
        const why = isFault
          ? 'a server error'
          : document.explainMismatch(document.getOperation(one.name), answer);
        if (why) throw new Error(`${one.name}: ${why}: ${answer.status} ${answer.text.slice(0, 2_000)}`);
      });
      const results = await Promise.all(
        Array.from({ length: clients }, (_, nth) =>
          fc.check(property, { seed: seed + nth, numRuns: Math.ceil(requests / clients) }),
        ),
      );
      const failures = results
        .filter(({ failed }) => failed)
        .map(({ seed, counterexamplePath, counterexample, errorInstance }) =>
          [
            (errorInstance as Error).message,
            `the smallest failing request: ${JSON.stringify(counterexample)}`,
            `seed ${seed}, path ${counterexamplePath}`,
          ].join('\n'),
        );
      if (failures.length > 0) throw new Error(failures.join('\n\n'));
      expect(count.all).toBeGreaterThanOrEqual(requests);
      // Many requests must reach the services, instead of being rejected by the gateway.
      expect(count.good / count.all).toBeGreaterThan(0.2);
      expect(document.operations.map(({ name }) => name).filter((name) => !countByName.has(name))).toEqual(
        [],
      );
    }, 900_000);

    it('leave a store that sells, without dead letters or restarts', async () => {
      const token = tokens.get('member')!;
      const productId = await store.createProduct(1);
      expect((await store.buy(token, store.buildOrder(productId))).body).toMatchObject({
        status: 'confirmed',
      });
      await until(async () => {
        const { output } = await store.run(['dead', 'list', '--json']);
        return (JSON.parse(output) as { total: number }).total === 0;
      });
      expect(await readRestarts()).toEqual(restartsBefore);
    }, 60_000);
  });

const endsSession = (name: string): boolean => name.startsWith('DELETE /v1/sessions');

/** Replaces characters that a header cannot contain. */
const toAscii = (value: unknown): string => String(value).replace(/[^\x20-\x7e]/g, '?');
