import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { GetJwks, GetOpenIdConfiguration } from '@jogakbo/contracts-identity';
import { ServiceUnderTest } from '@jogakbo/testing';
import { DataSource } from 'typeorm';
import { IdentityModule } from '../src/identity.module.ts';
import { SigningKeys } from '../src/signing-keys.ts';

describe('signing keys', () => {
  let identity: ServiceUnderTest;

  beforeAll(async () => {
    identity = await ServiceUnderTest.start(IdentityModule, { TOKEN_ISSUER: 'https://store.example' });
  });
  afterAll(() => identity.stop());

  it('publishes public keys only, and where they are', async () => {
    const { keys } = await identity.ask(GetJwks, {});
    expect(keys).toEqual([
      {
        ...{ kty: 'EC', crv: 'P-256', x: expect.any(String), y: expect.any(String) },
        ...{ kid: expect.any(String), use: 'sig', alg: 'ES256' },
      },
    ]);
    await expect(identity.ask(GetOpenIdConfiguration, {})).resolves.toMatchObject({
      issuer: 'https://store.example',
      jwks_uri: 'https://store.example/.well-known/jwks.json',
      id_token_signing_alg_values_supported: ['ES256'],
    });
  });

  it('are the same after a restart: tokens of before stay good', async () => {
    const before = await identity.ask(GetJwks, {});
    await identity.restart();
    await expect(identity.ask(GetJwks, {})).resolves.toEqual(before);
  });

  it('agrees on one key when several instances start at once', async () => {
    await identity.query('DELETE FROM signing_key');
    const instances = Array.from({ length: 5 }, () => new SigningKeys(identity.get(DataSource)));
    // With every connection open already, they really begin at once.
    await Promise.all(instances.map(() => identity.query('SELECT pg_sleep(0.1)')));
    await Promise.all(instances.map((keys) => keys.onModuleInit()));
    expect(new Set(instances.map(({ current }) => current.kid)).size).toBe(1);
    expect(instances.map((keys) => keys.public)).toEqual(instances.map(() => [expect.anything()]));
  });
});
