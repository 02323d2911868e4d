import { generateKeyPairSync, createHmac, createPublicKey, randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type JWK } from 'jose';
import { type Store } from './store.ts';
import { TokenForge } from './token-forge.ts';

const part = (value: object | string): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

export const forgedTokens = (store: Store) =>
  describe('a token that is not good', () => {
    let forge: TokenForge;
    let good: string;
    let claims: Record<string, unknown>;
    let refreshToken: string;
    /** Where the forger would have his keys fetched from. */
    let attacker: Server;
    let asked = 0;
    let own: { private: JWK; public: JWK };

    beforeAll(async () => {
      forge = await TokenForge.open(store);
      const credentials = { email: `${randomUUID()}@example.com`, password: randomUUID() };
      await store.call('POST', '/v1/members', { body: { ...credentials, name: 'Kim Jogak' } });
      ({ accessToken: good, refreshToken } = (
        await store.call('POST', '/v1/sessions', { body: credentials })
      ).body);
      claims = { ...forge.claims(good) };
      const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      own = {
        private: pair.privateKey.export({ format: 'jwk' }) as JWK,
        public: {
          ...(pair.publicKey.export({ format: 'jwk' }) as JWK),
          kid: 'mine',
          alg: 'ES256',
          use: 'sig',
        },
      };
      attacker = createServer((_, response) => {
        asked += 1;
        response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [own.public] }));
      });
      await new Promise<void>((resolve) => attacker.listen(0, '127.0.0.1', resolve));
    });
    afterAll(() => new Promise((resolve) => attacker.close(resolve)));

    /** What he hopes for: the member, with all roles. */
    const wish = () => ({ ...claims, roles: ['member', 'merchant', 'operator'] });
    const url = (path = '/jwks.json') =>
      `http://127.0.0.1:${(attacker.address() as AddressInfo).port}${path}`;
    const mine = (header: Record<string, unknown>) => forge.sign(wish(), header, own.private);
    const [head, body, signature] = [0, 1, 2].map((nth) => () => good.split('.')[nth]!) as [
      () => string,
      () => string,
      () => string,
    ];

    /** The public key as text, which a verifier that believes `alg` would take for a shared secret. */
    function signedWithPublicKey(alg: 'HS256' | 'HS384' | 'HS512', form: 'pem' | 'jwk'): string {
      const { d: _, ...publicJwk } = forge.privateJwk;
      const secret =
        form === 'jwk'
          ? JSON.stringify(publicJwk)
          : createPublicKey({ key: publicJwk as never, format: 'jwk' }).export({
              type: 'spki',
              format: 'pem',
            });
      const text = `${part({ alg, typ: 'JWT', kid: forge.kid })}.${part(wish())}`;
      return `${text}.${createHmac(alg.replace('HS', 'sha'), secret).update(text).digest('base64url')}`;
    }

    const now = () => Math.floor(Date.now() / 1_000);
    const noneSpelt = ['none', 'None', 'NONE', 'nOnE', 'none ', ''];
    const otherKids = [
      ...['../../../../dev/null', '/etc/passwd', 'file:///dev/null', 'mine', '', '__proto__', 'constructor'],
      ...["' OR '1'='1", "x' UNION SELECT 'k' -- ", '$(id)', '${jndi:ldap://127.0.0.1/a}', 'x'.repeat(3_000)],
    ];
    const bad: Record<string, () => string | Promise<string>> = {
      'of another key': () => mine({}),
      'of another key that it brings along': () => mine({ jwk: own.public, kid: 'mine' }),
      'of another key that it brings along, under the name of ours': () => mine({ jwk: own.public }),
      'that says where to fetch the key (jku)': () => mine({ jku: url(), kid: 'mine' }),
      'that says where to fetch the key (jku), under the name of ours': () => mine({ jku: url() }),
      'that says where to fetch a certificate (x5u)': () => mine({ x5u: url('/cert.pem'), kid: 'mine' }),
      'that brings a certificate along (x5c)': () => mine({ x5c: ['MIIB'], kid: 'mine' }),
      'whose key is a URL': () => mine({ kid: url() }),
      ...Object.fromEntries(
        otherKids.map((kid) => [`whose key is ${kid.slice(0, 40)}`, () => mine({ kid })]),
      ),
      ...Object.fromEntries(
        noneSpelt.flatMap((alg) => [
          [`unsigned (${alg})`, () => `${part({ alg, kid: forge.kid })}.${part(wish())}.`],
          [`unsigned (${alg}), with a signature`, () => `${part({ alg })}.${part(wish())}.${signature()}`],
        ]),
      ),
      'without any algorithm': () => `${part({ kid: forge.kid })}.${part(wish())}.${signature()}`,
      'signed with the public key (PEM)': () => signedWithPublicKey('HS256', 'pem'),
      'signed with the public key (JWK)': () => signedWithPublicKey('HS256', 'jwk'),
      'signed with the public key (HS512)': () => signedWithPublicKey('HS512', 'pem'),
      'with other claims': () => `${head()}.${part(wish())}.${signature()}`,
      'with another header': () => `${part({ alg: 'ES256', kid: forge.kid, x: 1 })}.${body()}.${signature()}`,
      'whose signature is all zero': () => `${head()}.${part(wish())}.${part('\0'.repeat(64))}`,
      'with a critical extension that nobody knows': () => forge.sign(claims, { crit: ['x'], x: 1 }),
      expired: () => forge.sign({ ...claims, exp: now() - 1 }),
      'expired long ago': () => forge.sign({ ...claims, exp: 1 }),
      'without end': () => forge.sign({ ...claims, exp: undefined }),
      'whose end is a text': () => forge.sign({ ...claims, exp: '9999999999' as never }),
      'not valid yet': () => forge.sign({ ...claims, nbf: now() + 60 }),
      'for somebody else': () => forge.sign({ ...claims, aud: 'another' }),
      'for nobody': () => forge.sign({ ...claims, aud: undefined }),
      'for almost us': () => forge.sign({ ...claims, aud: 'jogakbo ' }),
      'of another issuer': () => forge.sign({ ...claims, iss: 'https://evil.example' }),
      'of no issuer': () => forge.sign({ ...claims, iss: undefined }),
      'of an issuer that begins like ours': () =>
        forge.sign({ ...claims, iss: `${String(claims['iss'])}.evil` }),
      'of nobody': () => forge.sign({ ...claims, sub: undefined }),
      'of an empty member': () => forge.sign({ ...claims, sub: '' }),
      // As identity gives them to third parties: the same key, made for a client.
      'that is an ID token for a partner': () =>
        forge.sign({ ...claims, aud: 'a-partner', iss: `${String(claims['iss'])}/oidc`, at_hash: 'x' }),
      'that is an ID token of the store itself': () =>
        forge.sign({ ...claims, aud: 'a-partner', azp: 'jogakbo', nonce: 'n' }),
      'that is a refresh token': () => refreshToken,
      'cut at its end': () => good.slice(0, -1),
      'cut by half': () => good.slice(0, good.length / 2),
      'without signature': () => `${head()}.${body()}`,
      'with an empty signature': () => `${head()}.${body()}.`,
      'with four parts': () => `${good}.${signature()}`,
      'with five parts': () => `${good}.${signature()}.${signature()}`,
      'twice in one': () => `${good}, Bearer ${good}`,
      twice: () => `${good} ${good}`,
      'in other letters (standard base64)': () => good.replaceAll('-', '+').replaceAll('_', '/') + '==',
      'whose claims are no object': () => `${head()}.${part('[]')}.${signature()}`,
      'whose claims are not JSON': () => `${head()}.${part('{')}.${signature()}`,
      'whose header would poison a prototype': () =>
        `${part('{"alg":"ES256","__proto__":{"kid":"mine"}}')}.${body()}.${signature()}`,
      'of eight thousand letters': () =>
        `${head()}.${part({ ...wish(), x: 'x'.repeat(6_000) })}.${signature()}`,
      nonsense: () => 'nonsense',
      undefined: () => 'undefined',
    };

    it.each(Object.keys(bad))('is refused: %s', async (what) => {
      const token = await bad[what]!();
      for (const [method, path] of [
        ['GET', '/v1/members/me'],
        ['GET', '/v1/products?limit=1'], // public: a wrong token is not overlooked
        ['GET', '/v1/ops/audit'],
        ['DELETE', '/v1/sessions'],
      ] as const) {
        const { status, body, headers, text } = await store.call(method, path, { token });
        expect({ path, status, code: body?.code }).toEqual({ path, status: 401, code: 'unauthenticated' });
        expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
        expect(headers.get('www-authenticate')).toBe('Bearer');
        expect(Object.keys(body).sort()).toEqual(['code', 'detail', 'status', 'title', 'traceId', 'type']);
        expect(text).not.toContain(String(claims['sub']));
      }
    });

    const refused = /^HTTP\/1\.1 401 [^]*"code":"unauthenticated"/;
    const get = (...headers: string[]) =>
      store.raw(
        ['GET /v1/members/me HTTP/1.1', 'Host: x', 'Connection: close', ...headers, '', ''].join('\r\n'),
      );

    it('is refused beside a good one, whichever comes first', async () => {
      const nonsense = 'Authorization: Bearer nonsense';
      expect(await get(`Authorization: Bearer ${good}`)).toMatch(/^HTTP\/1\.1 200 /);
      expect(await get(`Authorization: Bearer ${good}`, nonsense)).toMatch(refused);
      expect(await get(nonsense, `Authorization: Bearer ${good}`)).toMatch(refused);
      expect(await get(`Authorization: Bearer ${good}`, `authorization: Bearer ${good}`)).toMatch(refused);
      expect(await get(`Authorization: Bearer ${good}`, 'Authorization: Basic YTpi')).toMatch(refused);
    });

    it('is one that stands elsewhere: query, cookie, another header, another scheme', async () => {
      expect(await get(`Cookie: access_token=${good}; token=${good}`)).toMatch(refused);
      expect(await get(`X-Access-Token: ${good}`, `Proxy-Authorization: Bearer ${good}`)).toMatch(refused);
      for (const scheme of ['Token', 'JWT', 'Basic', 'Bearer:', 'DPoP'])
        expect(await get(`Authorization: ${scheme} ${good}`)).toMatch(refused);
      for (const name of ['access_token', 'token', 'authorization']) {
        const { status } = await store.call('GET', `/v1/members/me?${name}=${good}`);
        expect({ name, status }).toEqual({ name, status: 401 });
      }
      const body = { access_token: good };
      expect((await store.call('POST', '/v1/orders', { body })).status).toBe(401);
    });

    it('fetches nothing from where it says, and spoils nothing for the good one', async () => {
      expect(asked).toBe(0);
      const { status, body } = await store.call('GET', '/v1/members/me', { token: good });
      expect({ status, body }).toMatchObject({ status: 200, body: { memberId: claims['sub'] } });
      expect((await store.call('GET', '/v1/members/me', { token: await forge.sign(claims) })).status).toBe(
        200,
      );
    });
  });
