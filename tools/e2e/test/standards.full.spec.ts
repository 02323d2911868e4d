import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ensureDebianProgram } from '@jogakbo/testing';
import { Parser } from '@asyncapi/parser';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import spectral, { type RulesetDefinition as Ruleset } from '@stoplight/spectral-core';
import rulesets from '@stoplight/spectral-rulesets';
import { load } from 'cloud-config-client';
import { until } from '../src/jogakbo.ts';
import { ExternalService } from '../src/outsider.ts';
import { Store } from '../src/store.ts';

const store = new Store();
const greetings = new ExternalService('greetings');
let promtool: string;
let joinedAt: number;

beforeAll(async () => {
  promtool = ensureDebianProgram('promtool', 'prometheus');
  await store.start(['--dense', '--no-seed']);
  // A purchase creates the metrics that appear only after their first event.
  const productId = await store.createProduct(1);
  const { token } = await store.createMember();
  expect((await store.buy(token, store.buildOrder(productId))).status).toBe(201);
}, 300_000);
afterAll(async () => {
  await greetings.close();
  await store.remove();
});

describe('an unmodified Eureka client', () => {
  it('registers an external service, and the gateway routes requests to it', async () => {
    await greetings.register(store);
    joinedAt = performance.now();
    await until(async () => (await store.call('GET', '/v1/greetings/kim')).status === 200);
    const { body } = await store.call('GET', '/v1/greetings/kim?loud=yes');
    expect(body).toEqual({ hello: '/v1/greetings/kim?loud=yes' });
    await until(() => greetings.getInstances('ORDERS').length === 1);
    expect(greetings.getInstances('ORDERS')).toMatchObject([
      { status: 'UP', metadata: { transport: 'rabbitmq' } },
    ]);
  });
});

/** Reads a document with the API of the store and of the external service. */
const readDocument = async (path: string) => (await store.call('GET', path)).text;

describe('the OpenAPI document of the running store', () => {
  let openapi: string;
  beforeAll(async () => {
    openapi = await readDocument('/openapi.json');
    expect(openapi).toContain('/v1/greetings/{who}');
  });

  async function redocly(source: string): Promise<string[]> {
    const config = await createConfig({ extends: ['recommended'] });
    const problems = await lintFromString({ source, absoluteRef: '/openapi.json', config });
    return problems.map((one) => `${one.severity} ${one.ruleId} ${one.location[0]?.pointer}: ${one.message}`);
  }

  async function runSpectral(source: string): Promise<string[]> {
    const linter = new spectral.Spectral();
    const oas = rulesets.oas as Ruleset;
    linter.setRuleset({ extends: [[oas, 'recommended']], rules: {} });
    const problems = await linter.run(JSON.parse(source));
    return problems.map((one) => `${one.severity} ${one.code} ${one.path.join('.')}: ${one.message}`);
  }

  /** A path whose parameter is not declared. */
  const breakPath = () => openapi.replaceAll('"/v1/greetings/{who}"', '"/v1/greetings/{other}"');

  it('is accepted by Redocly, without a warning', async () => {
    expect(await redocly(openapi)).toEqual([]);
    expect(await redocly(breakPath())).toContainEqual(expect.stringContaining('path-parameters-defined'));
  });

  it('is accepted by Spectral, without a warning', async () => {
    expect(await runSpectral(openapi)).toEqual([]);
    expect(await runSpectral(breakPath())).toContainEqual(expect.stringContaining('path-params'));
  });
});

describe('the AsyncAPI document of the running store', () => {
  it('is accepted by the parser of AsyncAPI, without a warning', async () => {
    const read = async (source: string) => {
      const { document, diagnostics } = await new Parser().parse(source);
      const wrong = diagnostics.filter(({ severity }) => severity < 2);
      return { channels: document?.allChannels().length, wrong: wrong.map(({ message }) => message) };
    };
    const asyncapi = await readDocument('/asyncapi.json');
    const { channels, wrong } = await read(asyncapi);
    expect(wrong).toEqual([]);
    expect(channels).toBeGreaterThan(40);
    const broken = asyncapi.replace('"action":"receive"', '"action":"take"');
    expect((await read(broken)).wrong).not.toEqual([]);
  });
});

describe('promtool', () => {
  const run = (args: string[], input = ''): Promise<{ code: number; output: string }> =>
    new Promise((resolve) => {
      const child = execFile(promtool, args, { maxBuffer: 2 ** 24 }, (error, stdout, stderr) =>
        resolve({ code: Number(error?.code ?? 0), output: stdout + stderr }),
      );
      child.stdin!.end(input);
    });

  it('accepts the metrics of every service', async () => {
    const rows = (await store.listRows()).filter(({ service }) => store.findRecord(service));
    expect(rows.length).toBeGreaterThanOrEqual(10);
    for (const { service, url } of rows) {
      const response = await fetch(`${url!.replace('localhost', '127.0.0.1')}/metrics`);
      const checked = await run(['check', 'metrics'], await response.text());
      expect({ service, status: response.status, ...checked }).toEqual({
        ...{ service, status: 200, code: 0, output: '' },
      });
    }
    expect(await run(['check', 'metrics'], '# TYPE a gauge\na_total 1\n')).toMatchObject({ code: 3 });
  });

  it('discovers every service through http_sd of the registry, with the labels of Prometheus', async () => {
    const file = join(store.folder, 'prometheus.yml');
    const url = `${(await store.findRow('registry'))!.url}/prometheus/targets`;
    writeFileSync(
      file,
      `scrape_configs:\n  - job_name: jogakbo\n    http_sd_configs:\n      - url: ${url}\n`,
    );
    expect(await run(['check', 'config', file])).toMatchObject({ code: 0 });
    const { code, output } = await run(['check', 'service-discovery', '--timeout=3s', file, 'jogakbo']);
    expect({ code, output }).toMatchObject({ code: 0, output: expect.stringMatching(/^\[/) });
    const found = (JSON.parse(output) as { labels: { job: string; __address__: string } }[])
      .map(({ labels }) => `${labels.job} ${labels.__address__}`)
      .sort();
    const expected = (await store.listRows())
      .filter(({ service }) => store.findRecord(service))
      .map(({ service, url }) => `${service} ${new URL(url!.replace('localhost', '127.0.0.1')).host}`)
      .sort();
    expect(found.filter((one) => !one.startsWith('greetings '))).toEqual(expected);
  });
});

describe('an unmodified Spring Cloud Config client', () => {
  it('reads the settings of its service and the shared ones from the running config server', async () => {
    const token = store.getToken('operator');
    const set = (application: string, settings: object[]) =>
      store.call('POST', `/v1/ops/config/${application}/versions`, {
        ...{ token, headers: { 'idempotency-key': randomUUID() } },
        body: { reason: 'a test', settings },
      });
    expect(await set('application', [{ key: 'logLevel', value: 'warn' }])).toMatchObject({ status: 201 });
    const secret = { key: 'providerToken', value: 'of-payments-alone', secret: true };
    expect(await set('payments', [{ key: 'databasePool', value: '7' }, secret])).toMatchObject({
      status: 201,
    });
    const endpoint = (await store.findRow('config'))!.url!;
    const passwords = JSON.parse(readFileSync(join(store.home, 'config-clients.json'), 'utf8'));
    const auth = { user: 'payments', pass: passwords.payments };
    const settings = await load({ endpoint, name: 'payments', profiles: ['default'], auth });
    expect(settings.properties).toMatchObject({
      ...{ logLevel: 'warn', databasePool: '7', providerToken: secret.value },
    });
    await expect(load({ endpoint, name: 'payments', auth: { ...auth, pass: 'wrong' } })).rejects.toThrow();
    const other = { user: 'orders', pass: passwords.orders };
    await expect(load({ endpoint, name: 'payments', auth: other })).rejects.toThrow();
  });
});

describe('the Eureka client', () => {
  it('stays registered by its renewals, and is gone after it cancels', async () => {
    // Longer than the lease.
    await pause(Math.max(0, joinedAt + 18_000 - performance.now()));
    expect((await store.call('GET', '/v1/greetings')).status).toBe(200);
    await greetings.deregister();
    await until(async () => (await store.call('GET', '/v1/greetings')).status === 404, 5_000);
  });
});
