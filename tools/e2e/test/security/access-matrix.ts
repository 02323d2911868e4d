import { randomInt, randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { ApiDocument, type Access, type Operation } from './api-document.ts';
import { until } from '../../src/jogakbo.ts';
import { type KnownValues } from '@jogakbo/testing/generated-values';
import { buildPath, generatePlainInput } from './made-input.ts';
import { TokenForge } from './token-forge.ts';
import { type Answer, type Store } from '../../src/store.ts';

const callers = ['anonymous', 'expired', 'member', 'another owner', 'merchant', 'operator', 'owner'] as const;
type Caller = (typeof callers)[number];

interface Rejection {
  status: number;
  code: string;
}

/** The rejection that the declared access requires for this caller; undefined if the caller has access. */
function getRejection({ access, takesToken }: Operation, caller: Caller): Rejection | undefined {
  const unauthenticated = { status: 401, code: 'unauthenticated' };
  // An invalid token is rejected on public routes too.
  if (caller === 'expired') return takesToken ? unauthenticated : undefined;
  if (access === 'public') return undefined;
  if (caller === 'anonymous') return unauthenticated;
  if (access === 'member') return undefined;
  if (access === 'owner') return caller === 'owner' ? undefined : { status: 404, code: 'not-found' };
  return caller === access ? undefined : { status: 403, code: 'forbidden' };
}

/** The last caller. It has access, so it shows that the route and its input are valid. */
const getPermittedCaller = (access: Access): Caller =>
  access === 'merchant' || access === 'operator' ? access : 'owner';

export const accessMatrix = (store: Store) =>
  describe('every documented route', () => {
    let document: ApiDocument;
    let tokens: Record<Caller, string | undefined>;
    /** Part of all data of the owner. No response to another caller may contain it. */
    const mark = `mark-${randomUUID()}`;
    const password = randomUUID();
    const email = `${mark}@example.com`;
    let memberId: string;

    beforeAll(async () => {
      document = await ApiDocument.read(store);
      const forge = await TokenForge.open(store);
      await store.call('POST', '/v1/members', { body: { email, password, name: mark } });
      const token = await store.signIn(email, password);
      memberId = forge.decodeClaims(token).sub!;
      const other = await store.createMember();
      const productId = await store.createProduct(1);
      expect((await store.buy(other.token, store.buildOrder(productId))).body.status).toBe('confirmed');
      tokens = {
        anonymous: undefined,
        expired: await forge.sign({
          ...{ sub: memberId, roles: ['member', 'merchant', 'operator'] },
          exp: Math.floor(Date.now() / 1_000) - 1,
        }),
        member: (await store.createMember()).token,
        'another owner': other.token,
        merchant: store.getToken('merchant'),
        operator: store.getToken('operator'),
        owner: token,
      };
    });

    /** Creates values that belong to the owner. New for each route, so that routes do not affect each other. */
    const factories: Record<string, () => unknown> = {
      // Free, because the document does not require a payment for an order.
      productId: () => store.createProduct(5, 0),
      orderId: async () => {
        const order = store.buildOrder(await store.createProduct(5));
        order.shipTo.name = mark;
        const { orderId } = (await store.buy(tokens.owner!, order)).body;
        await until(async () => (await store.readLedger(tokens.owner!, orderId)).status === 'captured');
        return orderId;
      },
      memberId: () => memberId,
      application: async () => {
        for (const value of ['info', 'warn'])
          await store.call('POST', '/v1/ops/config/registry/versions', {
            ...{ token: store.getToken('operator') },
            body: { reason: 'test data', settings: [{ key: 'logLevel', value }] },
          });
        return 'registry';
      },
      key: () => 'databasePool',
      networks: () => ['10.0.0.0/8'],
      app: async () => {
        const app = `matrix-${randomUUID()}`;
        await store.call('PUT', `/v1/ops/registrations/${app}`, {
          ...{ token: store.getToken('operator') },
          body: { secretHash: 'a'.repeat(64), routes: [], networks: ['10.0.0.0/8'] },
        });
        return app;
      },
      service: () => 'orders',
      hash: async () => {
        const { body } = await store.call('GET', '/v1/ops/instances?service=orders', {
          token: store.getToken('operator'),
        });
        return body.items[0].contractHash;
      },
      value: () => String(randomInt(2, 90)),
      email: () => email,
      password: () => password,
      refreshToken: async () =>
        (await store.call('POST', '/v1/sessions', { body: { email, password } })).body.refreshToken,
      token: () => 'tok_ok',
      sku: () => `M-${randomUUID()}`,
      name: () => 'Kim Jogak',
      to: () => 1,
      from: () => 0,
      roles: () => ['member'],
      q: () => 'teacup',
      'If-Match': () => '"1"',
      'Idempotency-Key': () => randomUUID(),
    };

    async function createValues({ path, parameters, body }: Operation): Promise<KnownValues> {
      const text = path + JSON.stringify([parameters, body]);
      const names = Object.keys(factories).filter((name) => text.includes(`"${name}"`));
      return Object.fromEntries(
        await Promise.all(names.map(async (name) => [name, [await factories[name]!()]] as const)),
      );
    }

    /** Sends the request as every caller. The permitted one is last: its success proves that the others had no effect. */
    async function findLeaks(operation: Operation): Promise<string[]> {
      const { name, method, access } = operation;
      // An earlier route may have signed the owner out.
      if ((await store.call('GET', '/v1/members/me', { token: tokens.owner })).status === 401)
        tokens.owner = await store.signIn(email, password);
      const input = generatePlainInput(operation, await createValues(operation));
      const send = (caller: Caller, as = method, about = input): Promise<Answer> =>
        store.call(as, buildPath(operation, about), {
          ...{ token: tokens[caller], body: input.body },
          // The same key for all callers: a stored response must not be shown to another caller.
          headers: input.headers,
        });
      const wrong: string[] = [];
      const expectRejection = (
        caller: string,
        answer: Answer,
        { status, code }: { status: number; code: string },
      ) => {
        const isExpected = answer.status === status && (!answer.text || answer.body?.code === code);
        if (!isExpected)
          wrong.push(
            `${name} as ${caller}: ${answer.status} ${answer.text.slice(0, 300)}, not ${status} ${code}`,
          );
      };
      for (const caller of callers.filter((one) => one !== getPermittedCaller(access))) {
        const rejection = getRejection(operation, caller);
        // Skipped, because its effect would make the request of the last caller fail.
        if (!rejection && method !== 'GET') continue;
        const answer = await send(caller);
        if (rejection) expectRejection(caller, answer, rejection);
        else if (answer.status !== 200)
          wrong.push(`${name} as ${caller}: ${answer.status} ${answer.text.slice(0, 300)}`);
        if (answer.text.includes(mark))
          wrong.push(`${name} as ${caller}: shows ${answer.text.slice(0, 300)}`);
        if (method === 'GET' && rejection)
          expectRejection(`${caller}, with HEAD`, await send(caller, 'HEAD'), rejection);
        if (access !== 'owner' || rejection?.status !== 404) continue;
        // The response must not reveal whether the resource exists.
        const path = Object.fromEntries(Object.keys(input.path).map((one) => [one, randomUUID()]));
        const unknown = await send(caller, method, { ...input, path });
        if (!isDeepStrictEqual({ ...unknown.body, traceId: '' }, { ...answer.body, traceId: '' }))
          wrong.push(`${name} as ${caller}: ${answer.text}, but with an unknown id ${unknown.text}`);
      }
      let answer = await send(getPermittedCaller(access));
      // An earlier route has ended the session of the owner, and the gateway learns it within a second.
      if (answer.status === 401 && getPermittedCaller(access) === 'owner') {
        tokens.owner = await store.signIn(email, password);
        answer = await send('owner');
      }
      if (answer.status < 200 || answer.status > 299)
        wrong.push(
          `${name} as ${getPermittedCaller(access)}, who has access: ${answer.status} ${answer.text.slice(0, 300)}. ` +
            `If its input needs a value that exists, add it to "factories" in access-matrix.ts.`,
        );
      return wrong;
    }

    it('declares its access', () => {
      const unknown = document.operations.filter(
        ({ access }) => !['public', 'member', 'owner', 'merchant', 'operator'].includes(access),
      );
      expect(unknown).toEqual([]);
      expect(new Set(document.operations.map(({ access }) => access)).size).toBe(5);
      expect(document.operations.length).toBeGreaterThanOrEqual(40);
    });

    it('accepts an Idempotency-Key if it creates something, and requires it if a repetition has a second effect', () => {
      const getKey = ({ parameters }: Operation) => parameters.find((one) => one.name === 'Idempotency-Key');
      const creating = document.operations.filter(
        ({ method, responses }) => method === 'POST' && (responses['201'] || responses['202']),
      );
      const required = creating.filter((one) => getKey(one)?.required).map(({ name }) => name);
      expect(required.sort()).toEqual(['POST /v1/orders', 'POST /v1/stock/{productId}/receipts']);
      // These contain secrets, which are not stored. A repetition changes nothing or creates one more session.
      const without = creating.filter((one) => !getKey(one)).map(({ name }) => name);
      expect(without.sort()).toEqual(
        [
          '/v1/members',
          ...['/v1/ops/config/{application}/versions', '/v1/sessions', '/v1/sessions/refresh'],
        ].map((path) => `POST ${path}`),
      );
    });

    it('accepts exactly the callers with access', async () => {
      const wrong: string[] = [];
      for (const operation of document.operations) wrong.push(...(await findLeaks(operation)));
      expect(wrong).toEqual([]);
    }, 300_000);
  });
