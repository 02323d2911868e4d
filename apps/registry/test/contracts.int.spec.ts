import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { describe as describeContract, service } from '@jogakbo/contract';
import { GetContract, ListContractVersions, SetRegistration } from '@jogakbo/contracts-registry';
import { eventually, type ServiceUnderTest } from '@jogakbo/testing';
import { z } from 'zod';
import { Announced, RegistryUnderTest } from './registry-under-test.ts';

describe('the recorded contracts', () => {
  let tested: RegistryUnderTest;
  let registry: ServiceUnderTest;
  const get: RegistryUnderTest['get'] = (...args) => tested.get(...args);
  const seen: RegistryUnderTest['listInstances'] = (...args) => tested.listInstances(...args);

  beforeAll(async () => {
    tested = await RegistryUnderTest.start();
    ({ registry } = tested);
  });
  afterAll(() => tested?.stop());

  it('records the contract of each version with its times', async () => {
    const newer = await tested.runGreeter({ version: '0.2.0' });
    const versions = await eventually(async () => {
      const { body } = await get('/contracts/greeter');
      return body.versions.length === 2 && body.versions;
    });
    await newer.stop();
    expect(versions.map(({ version }: { version: string }) => version).sort()).toEqual(['0.1.0', '0.2.0']);
    // Both versions have the same contract.
    expect(versions[0].hash).toBe(versions[1].hash);
    expect((await registry.ask(ListContractVersions, { service: 'greeter' })).items).toHaveLength(2);
    const { body } = await get('/contracts/greeter/0.2.0');
    expect(body).toMatchObject({
      service: 'greeter',
      version: '0.2.0',
      contract: { requests: [{ name: 'greeter.greet', access: 'public' }, { name: 'greeter.cards' }] },
    });
    expect(body.lastSeen >= body.firstSeen).toBe(true);
    expect((await get('/contracts/unknown')).status).toBe(404);
    expect((await get('/contracts/greeter/9')).status).toBe(404);
    await expect(registry.ask(ListContractVersions, { service: 'unknown' })).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  it('finds a contract by its hash, with all versions that announced it', async () => {
    const hash = (await seen('greeter'))[0]!.contractHash;
    const found = await registry.ask(GetContract, { service: 'greeter', hash });
    expect(found.versions.map(({ version }) => version).sort()).toEqual(['0.1.0', '0.2.0']);
    expect(found).toMatchObject({
      service: 'greeter',
      hash,
      contract: {
        service: 'greeter',
        requests: [{ name: 'greeter.greet' }, { name: 'greeter.cards' }],
        uses: [
          { name: 'config.read-settings', kind: 'query', sends: { type: 'object' } },
          { name: 'config.settings-asked', kind: 'event', receives: { type: 'object' } },
          { name: 'config.settings-changed', kind: 'event' },
          { name: 'settings.told', kind: 'event', sends: { type: 'object' } },
        ],
      },
    });
    for (const other of [
      { service: 'greeter', hash: '0'.repeat(64) },
      { service: 'unknown', hash },
    ])
      await expect(registry.ask(GetContract, other)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('finds the contract of a live instance before it is recorded', async () => {
    await registry.query('ALTER TABLE contract_version RENAME TO moved');
    try {
      const contract = { service: 'newcomer', description: '', requests: [], events: [] };
      const more = { url: 'http://127.0.0.1:1', startedAt: new Date().toISOString(), interval: 5 };
      const announcement = { service: 'newcomer', version: '1', instance: 'newcomer-1', contract, ...more };
      await registry.announce(Announced({ ...announcement, state: 'up' }));
      await eventually(async () => (await seen('newcomer')).length > 0);
      const hash = (await seen('newcomer'))[0]!.contractHash;
      expect(await registry.ask(GetContract, { service: 'newcomer', hash })).toMatchObject({
        versions: [],
        contract: { service: 'newcomer', requests: [] },
      });
      await registry.announce(Announced({ ...announcement, state: 'draining' }));
    } finally {
      await registry.query('ALTER TABLE moved RENAME TO contract_version');
    }
  });

  it('keeps the contract of the newest instance, not of the one that stopped last', async () => {
    const announce = (version: string, startedAt: string, state = 'up') => {
      const walker = service('walker');
      const options = { input: z.strictObject({}), output: z.object({}), access: 'public' } as const;
      walker.query('walk', { ...options, http: `GET /v1/walks-${version}` as const });
      return registry.announce(
        Announced({
          service: 'walker',
          version,
          instance: `walker-${version}`,
          interval: 5,
          state,
          startedAt,
          url: 'http://127.0.0.1:1',
          contract: describeContract(walker),
        }),
      );
    };
    const grant = (route: string) =>
      registry.ask(
        SetRegistration,
        { app: 'other', secretHash: '0'.repeat(64), routes: [route], networks: ['127.0.0.0/8'] },
        { caller: { memberId: 'the operator', roles: ['operator'] } },
      );
    const [older, newer] = [new Date(Date.now() - 60_000), new Date()].map((time) => time.toISOString());
    await announce('2', newer!);
    await announce('1', older!);
    await eventually(async () => (await seen('walker')).length === 2);
    // Contracts are recorded asynchronously.
    await eventually(async () => (await get('/contracts/walker')).body.versions?.length === 2);
    // While both versions are live, the routes of both are taken.
    await expect(grant('GET /v1/walks-1')).rejects.toMatchObject({ code: 'route-taken' });
    await announce('2', newer!, 'draining');
    await announce('1', older!, 'draining');
    await eventually(async () => (await seen('walker')).length === 0);
    for (const restart of [false, true]) {
      if (restart) await registry.restart();
      await expect(grant('GET /v1/walks-2')).rejects.toMatchObject({ code: 'route-taken' });
      expect((await get('/contracts/walker')).body.versions).toMatchObject([
        { version: '2' },
        { version: '1' },
      ]);
    }
    await grant('GET /v1/walks-1');
  });

  it('survives an extremely nested contract, and records those of others', async () => {
    const nest = (depth: number): object => (depth === 0 ? {} : { a: nest(depth - 1) });
    const contract = (name: string, output: object) => ({
      service: name,
      description: '',
      events: [],
      requests: [
        {
          name: `${name}.get`,
          kind: 'query',
          description: '',
          input: {},
          output,
          rejections: {},
          idempotency: 'none',
        },
      ],
    });
    const announce = (name: string, more: object) =>
      registry.announce(
        Announced({
          service: name,
          version: '1',
          instance: `${name}-1`,
          interval: 5,
          state: 'up',
          url: 'http://127.0.0.1:1',
          startedAt: new Date().toISOString(),
          ...more,
        }),
      );
    await announce('evil', { contract: contract('evil', nest(3_000)) });
    // PostgreSQL cannot store NUL: this contract is not recorded, but others are.
    await announce('broken', { contract: { ...contract('broken', {}), description: '\u0000' } });
    await announce('fine', { contract: contract('fine', {}) });
    await eventually(async () => (await get('/contracts/fine')).status === 200);
    expect(await seen('evil')).toEqual([]);
    for (const name of ['broken', 'fine'])
      await announce(name, { contract: contract(name, {}), state: 'draining' });
  });

  it('limits the contracts per service', async () => {
    await registry.query(
      `INSERT INTO contract_version (service, version, hash, upstream, contract, started_at, last_seen)
       SELECT 'talker', n::text, n::text, 'bus', '{}', now(), now() - n * interval '1 minute'
       FROM generate_series(1, 250) n`,
    );
    const contract = { service: 'talker', description: '', requests: [], events: [] };
    const announcement = { service: 'talker', version: 'new', instance: 'talker-1', interval: 5, contract };
    const more = { url: 'http://127.0.0.1:1', startedAt: new Date().toISOString() };
    await registry.announce(Announced({ ...announcement, ...more, state: 'up' }));
    const versions = async () =>
      (
        await registry.query<{ version: string }>(
          "SELECT version FROM contract_version WHERE service = 'talker' ORDER BY last_seen DESC",
        )
      ).map(({ version }) => version);
    await eventually(async () => (await versions()).length === 200);
    expect((await versions()).slice(0, 2)).toEqual(['new', '1']);
    await registry.announce(Announced({ ...announcement, ...more, state: 'draining' }));
  });
});
