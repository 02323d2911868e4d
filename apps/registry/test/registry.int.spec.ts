import { execFile, fork, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { describe as describeContract, service } from '@jogakbo/contract';
import {
  ListContractVersions,
  ListInstances,
  SetRegistration,
  type InstanceView,
} from '@jogakbo/contracts-registry';
import { start, type RunningService } from '@jogakbo/service';
import { eventually, ServiceUnderTest } from '@jogakbo/testing';
import { z } from 'zod';
import { configure, httpOptions } from '../src/http.ts';
import { RegistryModule } from '../src/registry.module.ts';
import { GreeterModule } from './greeter.ts';

const interval = 0.2;
const Announced = service('instances').event('announced', z.any());
const hasPromtool = spawnSync('promtool', ['--version']).status === 0;

describe('registry', () => {
  let registry: ServiceUnderTest;
  let greeter: RunningService;
  const killables: ChildProcess[] = [];

  const runGreeter = ({
    version,
    interval: every = interval,
  }: { version?: string; interval?: number } = {}) =>
    start(GreeterModule, {
      environment: {
        RABBITMQ_URL: registry.broker.url,
        LOG_LEVEL: 'error',
        ANNOUNCE_EVERY: String(every),
      },
      ...(version && { version }),
    });

  /** Starts an instance that can be killed without a shutdown. */
  async function startKillable(): Promise<ChildProcess> {
    const child = fork(join(import.meta.dirname, 'mortal.ts'), [registry.broker.url, String(interval)], {
      execArgv: ['--experimental-transform-types', '--disable-warning=ExperimentalWarning'],
    });
    killables.push(child);
    await once(child, 'message');
    return child;
  }

  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- untyped response
  async function get(path: string, url = registry.url): Promise<{ status: number; body: any }> {
    const response = await fetch(url + path);
    return { status: response.status, body: await response.json() };
  }

  const seen = async (service: string, url?: string): Promise<InstanceView[]> =>
    ((await get('/instances', url)).body as InstanceView[]).filter((one) => one.service === service);

  beforeAll(async () => {
    registry = await ServiceUnderTest.start(
      RegistryModule,
      { ANNOUNCE_EVERY: String(interval) },
      { fastify: httpOptions, configure },
    );
    greeter = await runGreeter();
    // Its load is in its first heartbeat.
    await eventually(async () => (await seen('greeter'))[0]?.load !== undefined);
  });
  afterAll(async () => {
    for (const child of killables) child.kill('SIGKILL');
    await greeter?.stop();
    await registry?.stop();
  });

  it('lists live instances, including its own', async () => {
    expect(await seen('greeter')).toEqual([
      {
        service: 'greeter',
        version: '0.1.0',
        instance: expect.stringMatching(/^greeter-/),
        url: greeter.url,
        upstream: 'bus',
        state: 'up',
        startedAt: expect.stringMatching(/Z$/),
        contractHash: expect.stringMatching(/^[0-9a-f]{64}$/),
        // Only after the first heartbeat.
        ...((await seen('greeter'))[0]!.load !== undefined && { load: expect.any(Number) }),
      },
    ]);
    expect(await seen('registry')).toHaveLength(1);
  });

  it('receives the load of instances', async () => {
    const load = await eventually(async () => (await seen('greeter'))[0]!.load);
    expect(load).toBeGreaterThanOrEqual(0);
    expect(load).toBeLessThanOrEqual(1);
  });

  it('answers operators over the bus', async () => {
    const { items } = await registry.ask(ListInstances, { service: 'greeter' });
    expect(items.map(({ url }) => url)).toEqual([greeter.url]);
    expect((await registry.ask(ListInstances, {})).items).toHaveLength(2);
  });

  it('drops a killed instance after three missed heartbeats', async () => {
    const killable = await startKillable();
    await eventually(async () => (await seen('killable')).length === 1);
    await new Promise((resolve) => setTimeout(resolve, 4 * interval * 1_000));
    expect(await seen('killable')).toHaveLength(1);
    killable.kill('SIGKILL');
    const killedAt = performance.now();
    await eventually(async () => (await seen('killable')).length === 0);
    const took = performance.now() - killedAt;
    expect(took).toBeGreaterThan(1.8 * interval * 1_000);
    expect(took).toBeLessThan(3 * interval * 1_000 + 400);
  });

  it('drops a draining instance at once', async () => {
    const slow = 2;
    const second = await runGreeter({ interval: slow });
    await eventually(async () => (await seen('greeter')).length === 2);
    const stoppedAt = performance.now();
    const stopping = second.stop();
    await eventually(async () => (await seen('greeter')).length === 1);
    expect(performance.now() - stoppedAt).toBeLessThan(slow * 1_000);
    await stopping;
  });

  it('streams new, changed and removed instances', async () => {
    const abort = new AbortController();
    const response = await fetch(`${registry.url}/instances/stream`, { signal: abort.signal });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    let text = '';
    const reading = (async () => {
      const decoder = new TextDecoder();
      for await (const part of response.body!) text += decoder.decode(part as Uint8Array);
    })().catch(() => {});
    const events = () =>
      text
        .split('\n\n')
        .filter((event) => event.startsWith('event: '))
        .map((event) => {
          const [kind, data] = event.split('\n') as [string, string];
          return { kind: kind.slice(7), data: JSON.parse(data.slice(6)) };
        })
        // On a busy machine the other instances may expire for a moment.
        .filter(({ kind, data }) => kind === 'snapshot' || ['killable', 'moving'].includes(data.service));
    await eventually(() => events().length === 1);
    expect(events()[0]).toMatchObject({ kind: 'snapshot' });
    expect(events()[0]!.data).toContainEqual(expect.objectContaining({ service: 'greeter' }));

    const killable = await startKillable();
    await eventually(() => events().some(({ kind }) => kind === 'came'));
    killable.kill('SIGKILL');
    await eventually(() => events().some(({ kind }) => kind === 'went'));
    const moving = { service: 'moving', version: '1', instance: 'moving-1', interval: 5, state: 'up' };
    const announcement = {
      ...moving,
      startedAt: new Date().toISOString(),
      contract: describeContract(service('moving')),
    };
    await registry.announce(Announced({ ...announcement, url: 'http://127.0.0.1:1' }));
    await eventually(() => events().length === 4);
    // An unchanged announcement causes no event.
    await registry.announce(Announced({ ...announcement, url: 'http://127.0.0.1:1' }));
    await registry.announce(Announced({ ...announcement, url: 'http://127.0.0.1:2' }));
    await eventually(() => events().length === 5);
    await registry.announce(Announced({ ...announcement, url: 'http://127.0.0.1:2', state: 'draining' }));
    await eventually(() => events().length === 6);
    expect(events().slice(1)).toMatchObject([
      { kind: 'came', data: { service: 'killable' } },
      { kind: 'went', data: { service: 'killable' } },
      { kind: 'came', data: { service: 'moving', url: 'http://127.0.0.1:1' } },
      { kind: 'changed', data: { service: 'moving', url: 'http://127.0.0.1:2' } },
      { kind: 'went', data: { service: 'moving' } },
    ]);
    abort.abort();
    await reading;
  });

  it('lists targets for Prometheus', async () => {
    const { body } = await get('/prometheus/targets');
    expect(body).toContainEqual({
      targets: [new URL(greeter.url).host],
      labels: {
        job: 'greeter',
        service: 'greeter',
        version: '0.1.0',
        instance_name: expect.stringMatching(/^greeter-/),
      },
    });
    for (const { targets } of body) {
      expect((await fetch(`http://${targets[0]}/metrics`)).status).toBe(200);
    }
  });

  const withPromtool = hasPromtool ? it : it.skip;
  withPromtool('lists targets that promtool accepts (skipped if it is not installed)', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'jogakbo-promtool-'));
    const config = join(folder, 'prometheus.yml');
    const http_sd_configs = [{ url: `${registry.url}/prometheus/targets` }];
    // JSON is valid YAML.
    writeFileSync(config, JSON.stringify({ scrape_configs: [{ job_name: 'jogakbo', http_sd_configs }] }));
    // Asynchronous, because promtool sends requests to this process.
    const { stdout } = await promisify(execFile)('promtool', [
      'check',
      'service-discovery',
      '--timeout=3s',
      config,
      'jogakbo',
    ]);
    rmSync(folder, { recursive: true });
    expect(stdout).toContain('"service": "greeter"');
  });

  it('records the contract of each version with its times', async () => {
    const newer = await runGreeter({ version: '0.2.0' });
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

  it('has the same state in every replica, and again after a restart', async () => {
    const replica = await registry.startAnother();
    await eventually(async () => (await seen('greeter', replica.url)).length === 1, 2_000);
    expect(await seen('registry', replica.url)).toHaveLength(2);
    await replica.stop();
    await registry.restart();
    await eventually(async () => (await seen('greeter')).length === 1, 2_000);
    expect((await get('/contracts/greeter')).body.versions).toHaveLength(2);
  });

  it('shuts down despite an open stream', async () => {
    const replica = await registry.startAnother();
    const response = await fetch(`${replica.url}/instances/stream`);
    const began = performance.now();
    await replica.stop();
    expect(performance.now() - began).toBeLessThan(2_000);
    await response.body!.cancel().catch(() => {});
  });
});
