import { generateKeyPairSync, createHmac, createPublicKey, randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type JWK } from 'jose';
import { type Store } from '../../src/store.ts';
import { TokenForge } from './token-forge.ts';

const encodePart = (value: object | string): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

export const forgedTokens = (store: Store) =>
  describe('an invalid token', () => {
    let forge: TokenForge;
    let good: string;
    let claims: Record<string, unknown>;
    let refreshToken: string;
    /** Key server of the attacker. */
    let attacker: Server;
    let fetches = 0;
    let own: { private: JWK; public: JWK };

    beforeAll(async () => {
      forge = await TokenForge.open(store);
      const credentials = { email: `${randomUUID()}@example.com`, password: randomUUID() };
      await store.call('POST', '/v1/members', { body: { ...credentials, name: 'Kim Jogak' } });
      ({ accessToken: good, refreshToken } = (
        await store.call('POST', '/v1/sessions', { body: credentials })
      ).body);
      claims = { ...forge.decodeClaims(good) };
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
        fetches += 1;
        response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [own.public] }));
      });
      await new Promise<void>((resolve) => attacker.listen(0, '127.0.0.1', resolve));
    });
    afterAll(() => new Promise((resolve) => attacker.close(resolve)));

    /** Claims of the member, with all roles. */
    const buildForgedClaims = () => ({ ...claims, roles: ['member', 'merchant', 'operator'] });
    const buildUrl = (path = '/jwks.json') =>
      `http://127.0.0.1:${(attacker.address() as AddressInfo).port}${path}`;
    const signWithOwnKey = (header: Record<string, unknown>) =>
      forge.sign(buildForgedClaims(), header, own.private);
    const [head, body, signature] = [0, 1, 2].map((nth) => () => good.split('.')[nth]!) as [
      () => string,
      () => string,
      () => string,
    ];

    /** Uses the public key as an HMAC secret, which a verifier that trusts `alg` would accept. */
    function signWithPublicKey(alg: 'HS256' | 'HS384' | 'HS512', form: 'pem' | 'jwk'): string {
      const { d: _, ...publicJwk } = forge.privateJwk;
      const secret =
        form === 'jwk'
          ? JSON.stringify(publicJwk)
          : createPublicKey({ key: publicJwk as never, format: 'jwk' }).export({
              type: 'spki',
              format: 'pem',
            });
      const text = `${encodePart({ alg, typ: 'JWT', kid: forge.kid })}.${encodePart(buildForgedClaims())}`;
      return `${text}.${createHmac(alg.replace('HS', 'sha'), secret).update(text).digest('base64url')}`;
    }

    const getNow = () => Math.floor(Date.now() / 1_000);
    const noneSpelt = ['none', 'None', 'NONE', 'nOnE', 'none ', ''];
    const otherKids = [
      ...['../../../../dev/null', '/etc/passwd', 'file:///dev/null', 'mine', '', '__proto__', 'constructor'],
      ...["' OR '1'='1", "x' UNION SELECT 'k' -- ", '$(id)', '${jndi:ldap://127.0.0.1/a}', 'x'.repeat(3_000)],
    ];
    const invalidTokens: Record<string, () => string | Promise<string>> = {
      'of another key': () => signWithOwnKey({}),
      'of another key that is embedded (jwk)': () => signWithOwnKey({ jwk: own.public, kid: 'mine' }),
      'of another key that is embedded (jwk), with our kid': () => signWithOwnKey({ jwk: own.public }),
      'with a URL of its key (jku)': () => signWithOwnKey({ jku: buildUrl(), kid: 'mine' }),
      'with a URL of its key (jku), with our kid': () => signWithOwnKey({ jku: buildUrl() }),
      'with a URL of its certificate (x5u)': () =>
        signWithOwnKey({ x5u: buildUrl('/cert.pem'), kid: 'mine' }),
      'with an embedded certificate (x5c)': () => signWithOwnKey({ x5c: ['MIIB'], kid: 'mine' }),
      'whose kid is a URL': () => signWithOwnKey({ kid: buildUrl() }),
      ...Object.fromEntries(
        otherKids.map((kid) => [`whose kid is ${kid.slice(0, 40)}`, () => signWithOwnKey({ kid })]),
      ),
      ...Object.fromEntries(
        noneSpelt.flatMap((alg) => [
          [
            `unsigned (${alg})`,
            () => `${encodePart({ alg, kid: forge.kid })}.${encodePart(buildForgedClaims())}.`,
          ],
          [
            `unsigned (${alg}), with a signature`,
            () => `${encodePart({ alg })}.${encodePart(buildForgedClaims())}.${signature()}`,
          ],
        ]),
      ),
      'without any algorithm': () =>
        `${encodePart({ kid: forge.kid })}.${encodePart(buildForgedClaims())}.${signature()}`,
      'signed with the public key (PEM)': () => signWithPublicKey('HS256', 'pem'),
      'signed with the public key (JWK)': () => signWithPublicKey('HS256', 'jwk'),
      'signed with the public key (HS512)': () => signWithPublicKey('HS512', 'pem'),
      'with other claims': () => `${head()}.${encodePart(buildForgedClaims())}.${signature()}`,
      'with another header': () =>
        `${encodePart({ alg: 'ES256', kid: forge.kid, x: 1 })}.${body()}.${signature()}`,
      'whose signature is all zero': () =>
        `${head()}.${encodePart(buildForgedClaims())}.${encodePart('\0'.repeat(64))}`,
      'with an unknown critical extension': () => forge.sign(claims, { crit: ['x'], x: 1 }),
      expired: () => forge.sign({ ...claims, exp: getNow() - 1 }),
      'expired long ago': () => forge.sign({ ...claims, exp: 1 }),
      'without expiry': () => forge.sign({ ...claims, exp: undefined }),
      'whose expiry is a string': () => forge.sign({ ...claims, exp: '9999999999' as never }),
      'not valid yet': () => forge.sign({ ...claims, nbf: getNow() + 60 }),
      'for another audience': () => forge.sign({ ...claims, aud: 'another' }),
      'without audience': () => forge.sign({ ...claims, aud: undefined }),
      'for an audience that starts like ours': () => forge.sign({ ...claims, aud: 'jogakbo ' }),
      'of another issuer': () => forge.sign({ ...claims, iss: 'https://evil.example' }),
      'without issuer': () => forge.sign({ ...claims, iss: undefined }),
      'of an issuer that starts like ours': () =>
        forge.sign({ ...claims, iss: `${String(claims['iss'])}.evil` }),
      'without subject': () => forge.sign({ ...claims, sub: undefined }),
      'with an empty subject': () => forge.sign({ ...claims, sub: '' }),
      // Identity issues these to third parties, signed with the same key.
      'that is an ID token for a partner': () =>
        forge.sign({ ...claims, aud: 'a-partner', iss: `${String(claims['iss'])}/oidc`, at_hash: 'x' }),
      'that is an ID token of the store itself': () =>
        forge.sign({ ...claims, aud: 'a-partner', azp: 'jogakbo', nonce: 'n' }),
      'that is a refresh token': () => refreshToken,
      'cut at its end': () => good.slice(0, -1),
      'cut in half': () => good.slice(0, good.length / 2),
      'without signature': () => `${head()}.${body()}`,
      'with an empty signature': () => `${head()}.${body()}.`,
      'with four parts': () => `${good}.${signature()}`,
      'with five parts': () => `${good}.${signature()}.${signature()}`,
      'twice in one': () => `${good}, Bearer ${good}`,
      twice: () => `${good} ${good}`,
      'in standard base64': () => good.replaceAll('-', '+').replaceAll('_', '/') + '==',
      'whose claims are not an object': () => `${head()}.${encodePart('[]')}.${signature()}`,
      'whose claims are not JSON': () => `${head()}.${encodePart('{')}.${signature()}`,
      'whose header would pollute a prototype': () =>
        `${encodePart('{"alg":"ES256","__proto__":{"kid":"mine"}}')}.${body()}.${signature()}`,
      'of eight thousand characters': () =>
        `${head()}.${encodePart({ ...buildForgedClaims(), x: 'x'.repeat(6_000) })}.${signature()}`,
      nonsense: () => 'nonsense',
      undefined: () => 'undefined',
    };

    it.each(Object.keys(invalidTokens))('is rejected: %s', async (what) => {
      const token = await invalidTokens[what]!();
      for (const [method, path] of [
        ['GET', '/v1/members/me'],
        ['GET', '/v1/products?limit=1'], // public, but an invalid token is rejected
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

    const unauthorized = /^HTTP\/1\.1 401 [^]*"code":"unauthenticated"/;
    const sendGet = (...headers: string[]) =>
      store.sendRaw(
        ['GET /v1/members/me HTTP/1.1', 'Host: x', 'Connection: close', ...headers, '', ''].join('\r\n'),
      );

    it('is rejected together with a valid one, in any order', async () => {
      const nonsense = 'Authorization: Bearer nonsense';
      expect(await sendGet(`Authorization: Bearer ${good}`)).toMatch(/^HTTP\/1\.1 200 /);
      expect(await sendGet(`Authorization: Bearer ${good}`, nonsense)).toMatch(unauthorized);
      expect(await sendGet(nonsense, `Authorization: Bearer ${good}`)).toMatch(unauthorized);
      expect(await sendGet(`Authorization: Bearer ${good}`, `authorization: Bearer ${good}`)).toMatch(
        unauthorized,
      );
      expect(await sendGet(`Authorization: Bearer ${good}`, 'Authorization: Basic YTpi')).toMatch(
        unauthorized,
      );
    });

    it('is one at another place: query, cookie, another header, another scheme', async () => {
      expect(await sendGet(`Cookie: access_token=${good}; token=${good}`)).toMatch(unauthorized);
      expect(await sendGet(`X-Access-Token: ${good}`, `Proxy-Authorization: Bearer ${good}`)).toMatch(
        unauthorized,
      );
      for (const scheme of ['Token', 'JWT', 'Basic', 'Bearer:', 'DPoP'])
        expect(await sendGet(`Authorization: ${scheme} ${good}`)).toMatch(unauthorized);
      for (const name of ['access_token', 'token', 'authorization']) {
        const { status } = await store.call('GET', `/v1/members/me?${name}=${good}`);
        expect({ name, status }).toEqual({ name, status: 401 });
      }
      const body = { access_token: good };
      expect((await store.call('POST', '/v1/orders', { body })).status).toBe(401);
    });

    it('causes no request to its URLs, and does not affect the valid one', async () => {
      expect(fetches).toBe(0);
      const { status, body } = await store.call('GET', '/v1/members/me', { token: good });
      expect({ status, body }).toMatchObject({ status: 200, body: { memberId: claims['sub'] } });
      expect((await store.call('GET', '/v1/members/me', { token: await forge.sign(claims) })).status).toBe(
        200,
      );
    });
  });
