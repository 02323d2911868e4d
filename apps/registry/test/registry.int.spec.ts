import { execFile, fork, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { describe as describeContract, service } from '@jogakbo/contract';
import { ListInstances } from '@jogakbo/contracts-registry';
import { type RunningService } from '@jogakbo/service';
import { eventually, type ServiceUnderTest } from '@jogakbo/testing';
import { Announced, interval, RegistryUnderTest } from './registry-under-test.ts';

const hasPromtool = spawnSync('promtool', ['--version']).status === 0;

describe('registry', () => {
  let tested: RegistryUnderTest;
  let registry: ServiceUnderTest;
  let greeter: RunningService;
  const killables: ChildProcess[] = [];

  /** Starts an instance that can be killed without a shutdown. */
  async function startKillable(): Promise<ChildProcess> {
    const child = fork(join(import.meta.dirname, 'mortal.ts'), [registry.broker.url, String(interval)], {
      execArgv: ['--experimental-transform-types', '--disable-warning=ExperimentalWarning'],
    });
    killables.push(child);
    await once(child, 'message');
    return child;
  }

  const get: RegistryUnderTest['get'] = (...args) => tested.get(...args);
  const seen: RegistryUnderTest['listInstances'] = (...args) => tested.listInstances(...args);

  beforeAll(async () => {
    tested = await RegistryUnderTest.start();
    ({ registry, greeter } = tested);
  });
  afterAll(async () => {
    for (const child of killables) child.kill('SIGKILL');
    await tested?.stop();
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
    const second = await tested.runGreeter({ interval: slow });
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

  it('has the same state in every replica, and again after a restart', async () => {
    const newer = await tested.runGreeter({ version: '0.2.0' });
    await eventually(async () => (await get('/contracts/greeter')).body.versions.length === 2);
    await newer.stop();
    await eventually(async () => (await seen('greeter')).length === 1);
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
