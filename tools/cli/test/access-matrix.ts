import { randomInt, randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { ApiDocument, type Access, type Operation } from './api-document.ts';
import { until } from './jogakbo.ts';
import { buildPath, plainInput, type Things } from './made-input.ts';
import { TokenForge } from './token-forge.ts';
import { type Answer, type Store } from './store.ts';

const callers = ['nobody', 'expired', 'member', 'another owner', 'merchant', 'operator', 'owner'] as const;
type Caller = (typeof callers)[number];

interface Refusal {
  status: number;
  code: string;
}

/** What the declared access promises this caller; undefined: to be let in. */
function getRefusal({ access, takesToken }: Operation, caller: Caller): Refusal | undefined {
  const unauthenticated = { status: 401, code: 'unauthenticated' };
  // Also of a public route: a token that is wrong is not overlooked.
  if (caller === 'expired') return takesToken ? unauthenticated : undefined;
  if (access === 'public') return undefined;
  if (caller === 'nobody') return unauthenticated;
  if (access === 'member') return undefined;
  if (access === 'owner') return caller === 'owner' ? undefined : { status: 404, code: 'not-found' };
  return caller === access ? undefined : { status: 403, code: 'forbidden' };
}

/** Who is there to show that the route and its input are right: the last one who may. */
const mayAtAll = (access: Access): Caller =>
  access === 'merchant' || access === 'operator' ? access : 'owner';

export const accessMatrix = (store: Store) =>
  describe('every announced route', () => {
    let document: ApiDocument;
    let tokens: Record<Caller, string | undefined>;
    /** Stands in all that is the owner's. Nobody else is shown it. */
    const mark = `mark-${randomUUID()}`;
    const password = randomUUID();
    const email = `${mark}@example.com`;
    let memberId: string;

    beforeAll(async () => {
      document = await ApiDocument.read(store);
      const forge = await TokenForge.open(store);
      await store.call('POST', '/v1/members', { body: { email, password, name: mark } });
      const token = await store.signIn(email, password);
      memberId = forge.claims(token).sub!;
      const other = await store.member();
      const productId = await store.product(1);
      expect((await store.buy(other.token, store.order(productId))).body.status).toBe('confirmed');
      tokens = {
        nobody: undefined,
        expired: await forge.sign({
          ...{ sub: memberId, roles: ['member', 'merchant', 'operator'] },
          exp: Math.floor(Date.now() / 1_000) - 1,
        }),
        member: (await store.member()).token,
        'another owner': other.token,
        merchant: store.staff('merchant'),
        operator: store.staff('operator'),
        owner: token,
      };
    });

    /** The owner's, and new for each route: what one route does to it is nothing to the others. */
    const made: Record<string, () => unknown> = {
      // Free: an order of it requires no more than the document does.
      productId: () => store.product(5, 0),
      orderId: async () => {
        const order = store.order(await store.product(5));
        order.shipTo.name = mark;
        const { orderId } = (await store.buy(tokens.owner!, order)).body;
        await until(async () => (await store.ledger(tokens.owner!, orderId)).status === 'captured');
        return orderId;
      },
      memberId: () => memberId,
      application: async () => {
        for (const value of ['info', 'warn'])
          await store.call('POST', '/v1/ops/config/registry/versions', {
            ...{ token: store.staff('operator') },
            body: { reason: 'to have some', settings: [{ key: 'logLevel', value }] },
          });
        return 'registry';
      },
      key: () => 'databasePool',
      networks: () => ['10.0.0.0/8'],
      app: async () => {
        const app = `matrix-${randomUUID()}`;
        await store.call('PUT', `/v1/ops/registrations/${app}`, {
          ...{ token: store.staff('operator') },
          body: { secretHash: 'a'.repeat(64), routes: [], networks: ['10.0.0.0/8'] },
        });
        return app;
      },
      service: () => 'orders',
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

    async function thingsFor({ path, parameters, body }: Operation): Promise<Things> {
      const text = path + JSON.stringify([parameters, body]);
      const names = Object.keys(made).filter((name) => text.includes(`"${name}"`));
      return Object.fromEntries(
        await Promise.all(names.map(async (name) => [name, [await made[name]!()]] as const)),
      );
    }

    /** Asks as everybody, who may comes last: what he gets shows that nobody before him had any effect. */
    async function findLeaks(operation: Operation): Promise<string[]> {
      const { name, method, access } = operation;
      // A route before may have signed the owner out.
      if ((await store.call('GET', '/v1/members/me', { token: tokens.owner })).status === 401)
        tokens.owner = await store.signIn(email, password);
      const input = plainInput(operation, await thingsFor(operation));
      const ask = (caller: Caller, as = method, about = input): Promise<Answer> =>
        store.call(as, buildPath(operation, about), {
          ...{ token: tokens[caller], body: input.body },
          // One key for all of them: not even what is remembered of somebody else's request is shown.
          headers: input.headers,
        });
      const wrong: string[] = [];
      const expectRefusal = (
        who: string,
        answer: Answer,
        { status, code }: { status: number; code: string },
      ) => {
        const asPromised = answer.status === status && (!answer.text || answer.body?.code === code);
        if (!asPromised)
          wrong.push(
            `${name} as ${who}: ${answer.status} ${answer.text.slice(0, 300)}, not ${status} ${code}`,
          );
      };
      for (const caller of callers.filter((one) => one !== mayAtAll(access))) {
        const refusal = getRefusal(operation, caller);
        // Who may as well gets the same as who comes last, and would only take it away from him.
        if (!refusal && method !== 'GET') continue;
        const answer = await ask(caller);
        if (refusal) expectRefusal(caller, answer, refusal);
        else if (answer.status !== 200)
          wrong.push(`${name} as ${caller}: ${answer.status} ${answer.text.slice(0, 300)}`);
        if (answer.text.includes(mark))
          wrong.push(`${name} as ${caller}: shows ${answer.text.slice(0, 300)}`);
        if (method === 'GET' && refusal)
          expectRefusal(`${caller}, with HEAD`, await ask(caller, 'HEAD'), refusal);
        if (access !== 'owner' || refusal?.status !== 404) continue;
        // That there is such a thing shows in nothing.
        const path = Object.fromEntries(Object.keys(input.path).map((one) => [one, randomUUID()]));
        const unknown = await ask(caller, method, { ...input, path });
        if (!isDeepStrictEqual({ ...unknown.body, traceId: '' }, { ...answer.body, traceId: '' }))
          wrong.push(`${name} as ${caller}: ${answer.text}, but of an unknown one ${unknown.text}`);
      }
      let answer = await ask(mayAtAll(access));
      // The gateway hears within a second that a route before has ended the owner's session.
      if (answer.status === 401 && mayAtAll(access) === 'owner') {
        tokens.owner = await store.signIn(email, password);
        answer = await ask('owner');
      }
      if (answer.status < 200 || answer.status > 299)
        wrong.push(
          `${name} as ${mayAtAll(access)}, who may: ${answer.status} ${answer.text.slice(0, 300)}. Where its input lacks something ` +
            `that there is, add it to "made" in access-matrix.ts.`,
        );
      return wrong;
    }

    it('says who may use it', () => {
      const unknown = document.operations.filter(
        ({ access }) => !['public', 'member', 'owner', 'merchant', 'operator'].includes(access),
      );
      expect(unknown).toEqual([]);
      expect(new Set(document.operations.map(({ access }) => access)).size).toBe(5);
      expect(document.operations.length).toBeGreaterThanOrEqual(40);
    });

    it('takes an Idempotency-Key where a POST creates something, and must have it where a repetition would double it', () => {
      const getKey = ({ parameters }: Operation) => parameters.find((one) => one.name === 'Idempotency-Key');
      const creating = document.operations.filter(
        ({ method, responses }) => method === 'POST' && (responses['201'] || responses['202']),
      );
      const required = creating.filter((one) => getKey(one)?.required).map(({ name }) => name);
      expect(required.sort()).toEqual(['POST /v1/orders', 'POST /v1/stock/{productId}/receipts']);
      // These hold secrets, of which nothing is remembered; repeated, they change nothing or make one more session.
      const without = creating.filter((one) => !getKey(one)).map(({ name }) => name);
      expect(without.sort()).toEqual(
        [
          '/v1/members',
          ...['/v1/ops/config/{application}/versions', '/v1/sessions', '/v1/sessions/refresh'],
        ].map((path) => `POST ${path}`),
      );
    });

    it('opens for those who may, and for nobody else', async () => {
      const wrong: string[] = [];
      for (const operation of document.operations) wrong.push(...(await findLeaks(operation)));
      expect(wrong).toEqual([]);
    }, 300_000);
  });
