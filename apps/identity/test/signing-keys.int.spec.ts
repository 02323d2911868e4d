import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { StorageEncryption } from '@jogakbo/consistency';
import { GetJwks, GetOpenIdConfiguration } from '@jogakbo/contracts-identity';
import { ServiceUnderTest } from '@jogakbo/testing';
import { DataSource } from 'typeorm';
import { IdentityModule } from '../src/identity.module.ts';
import { SigningKeys } from '../src/signing-keys.ts';

const createKeys = (identity: ServiceUnderTest) =>
  new SigningKeys(identity.get(DataSource), identity.get(StorageEncryption));

describe('signing keys', () => {
  let identity: ServiceUnderTest;
  const readStored = async () =>
    (await identity.query<{ text: string }>('SELECT private_jwk::text AS text FROM signing_key')).map(
      ({ text }) => text,
    );

  beforeAll(async () => {
    identity = await ServiceUnderTest.start(IdentityModule, {
      TOKEN_ISSUER: 'https://store.example',
      LANGUAGES: 'ko,en',
      ROLES: 'moderator',
    });
  });
  afterAll(() => identity.stop());

  it('are published without private parts, at the address in the metadata', async () => {
    const { keys } = await identity.ask(GetJwks, {});
    expect(keys).toEqual([
      {
        kty: 'EC',
        crv: 'P-256',
        x: expect.any(String),
        y: expect.any(String),
        kid: expect.any(String),
        use: 'sig',
        alg: 'ES256',
      },
      {
        kty: 'RSA',
        n: expect.any(String),
        e: 'AQAB',
        kid: expect.any(String),
        use: 'sig',
        alg: 'RS256',
      },
    ]);
    await expect(identity.ask(GetOpenIdConfiguration, {})).resolves.toMatchObject({
      issuer: 'https://store.example',
      jwks_uri: 'https://store.example/.well-known/jwks.json',
      id_token_signing_alg_values_supported: ['ES256', 'RS256'],
    });
  });

  it('are the same after a restart, so earlier tokens stay valid', async () => {
    const before = await identity.ask(GetJwks, {});
    await identity.restart();
    await expect(identity.ask(GetJwks, {})).resolves.toEqual(before);
  });

  it('are shared by instances that start at the same time', async () => {
    await identity.query('DELETE FROM signing_key');
    const instances = Array.from({ length: 5 }, () => createKeys(identity));
    // Opens the connections first, so that the instances start at the same time.
    await Promise.all(instances.map(() => identity.query('SELECT pg_sleep(0.1)')));
    await Promise.all(instances.map((keys) => keys.onModuleInit()));
    expect(new Set(instances.map(({ current }) => current.kid)).size).toBe(1);
    expect(instances.map((keys) => keys.public)).toEqual(instances.map(() => instances[0]!.public));
  });

  it('are stored encrypted', async () => {
    const [{ d, x }] = identity.get(SigningKeys).private as unknown as [{ d: string; x: string }];
    expect(d).toHaveLength(43);
    const texts = await readStored();
    expect(texts.map((text) => Object.keys(JSON.parse(text) as object))).toEqual([['encrypted']]);
    for (const text of texts) for (const part of [d, x, '"d"']) expect(text).not.toContain(part);
  });

  it('stored in clear by an older version are encrypted at the next start', async () => {
    await identity.get(SigningKeys).load();
    const [{ d, kid, use: _, alg: __, ...jwk }] = identity.get(SigningKeys).private as unknown as [
      { d: string; kid: string; use: string; alg: string },
    ];
    await identity.query('UPDATE signing_key SET private_jwk = $1', [JSON.stringify({ ...jwk, d })]);
    await identity.restart();
    expect((await readStored()).join()).not.toContain(d);
    expect(identity.get(SigningKeys).current.kid).toBe(kid);
    // The old key had no RSA key. One was added, the same for all instances.
    const others = [createKeys(identity), createKeys(identity)];
    await Promise.all(others.map((keys) => keys.load()));
    for (const keys of others) expect(keys.public).toEqual(identity.get(SigningKeys).public);
    expect(others[0]!.public.map(({ alg }) => alg)).toEqual(['ES256', 'RS256']);
  });

  it('survive a rotation of the service key, after which the old service key is not needed', async () => {
    const before = await identity.ask(GetJwks, {});
    const [text] = await readStored();
    await identity.restart({ SERVICE_KEY: `${newKey},${identity.setting('SERVICE_KEY')}` });
    expect(await readStored()).not.toContain(text);
    await identity.restart({ SERVICE_KEY: newKey });
    await expect(identity.ask(GetJwks, {})).resolves.toEqual(before);
  });
});

const newKey = randomBytes(32).toString('base64url');
