import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { service } from '@jogakbo/contract';
import { PlatformSettings, SplitCalls, start, type RunningService } from '@jogakbo/service';
import { eventually, ServiceUnderTest } from '@jogakbo/testing';
import { z } from 'zod';
import { configure, httpOptions } from '../src/door.ts';
import { GatewayModule } from '../src/gateway.module.ts';
import { KnownServices } from '../src/known-services.ts';
import { DemoModule, seen } from './demo.ts';
import { issuer, signer, type Signer } from './signer.ts';
import { StubbedIdentity } from './stubbed-identity.ts';

const Announced = service('instances').event('announced', z.any());
const members = Array.from({ length: 200 }, (_, nth) => `member-${nth}`);

describe('a share of the requests for a version of a service that is asked over HTTP', () => {
  let gateway: ServiceUnderTest;
  let key: Signer;
  let demo: RunningService;
  const running = new Map<string, Server>();
  const tokens = new Map<string, string>();

  beforeAll(async () => {
    gateway = await ServiceUnderTest.start(
      GatewayModule,
      {
        TOKEN_ISSUER: issuer,
        IDENTITY_SERVICE: 'demo',
        LEARN_FOR: '0',
        TRAFFIC_SPLIT: '{"hello":{"2.0":10}}',
      },
      { fastify: httpOptions, configure },
    );
    await StubbedIdentity.start(gateway);
    key = await signer('k1');
    seen.keys = [key.publicKey];
    demo = await start(DemoModule, { environment: { RABBITMQ_URL: gateway.broker.url, LOG_LEVEL: 'error' } });
    await eventually(async () => (await fetch(`${gateway.url}/v1/things`)).status === 200);
    // Longer than this suite may take on a busy machine.
    const exp = Math.floor(Date.now() / 1_000) + 600;
    for (const member of members) tokens.set(member, await key.sign({ sub: member, sid: member, exp }));
    await run('1.0');
    await run('2.0');
  });
  afterAll(async () => {
    for (const server of running.values()) server.close().closeAllConnections();
    await demo?.stop();
    await gateway?.stop();
  });

  async function run(version: string): Promise<void> {
    const server = createServer((_, response) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ version })),
    ).listen(0, '127.0.0.1');
    running.set(version, server);
    await once(server, 'listening');
    const http = { method: 'GET', path: '/v1/hello', parameters: [], status: 200 };
    const request = {
      ...{ name: 'hello.get', kind: 'query', description: '', access: 'public', idempotency: 'none', http },
      ...{ input: {}, output: {}, rejections: {} },
    };
    const startedAt = new Date().toISOString();
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await gateway.announce(
      Announced({
        ...{ service: 'hello', version, instance: `eureka:HELLO:${version}`, state: 'up', url, startedAt },
        ...{ interval: 60, upstream: 'http', networks: ['127.0.0.0/8'] },
        contract: { service: 'hello', description: '', requests: [request], events: [] },
      }),
    );
    await eventually(() =>
      gateway
        .get(KnownServices)
        .upstreamsOf('hello')
        .some((one) => one.version === version),
    );
  }

  async function versionOf(member?: string): Promise<string> {
    const response = await fetch(`${gateway.url}/v1/hello`, {
      headers: member ? { authorization: `Bearer ${tokens.get(member)}` } : {},
    });
    const body = (await response.json()) as { version: string };
    expect({ status: response.status, ...body }).toMatchObject({ status: 200 });
    return body.version;
  }
  async function meeting(version: string): Promise<string[]> {
    const versions: string[] = [];
    for (let from = 0; from < members.length; from += 20)
      versions.push(...(await Promise.all(members.slice(from, from + 20).map((one) => versionOf(one)))));
    return members.filter((_, nth) => versions[nth] === version);
  }

  it('is as large as was said, and the same members and addresses every time', async () => {
    const first = await meeting('2.0');
    // 20 of 200, give or take three standard deviations of a fair draw.
    expect(first.length).toBeGreaterThan(7);
    expect(first.length).toBeLessThan(33);
    expect(await meeting('2.0')).toEqual(first);
    const fromHere = await Promise.all(Array.from({ length: 20 }, () => versionOf()));
    expect(new Set(fromHere).size).toBe(1);
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
    expect(metrics).toMatch(/calls_split_total\{callee="hello",callee_version="2.0".* \d+/);
  });

  it('follows a change at once, and is over at once', async () => {
    const settings = gateway.get(PlatformSettings);
    const before = await meeting('2.0');
    settings.trafficSplit = { hello: { '2.0': 50 } };
    const more = await meeting('2.0');
    expect(more).toEqual(expect.arrayContaining(before));
    expect(more.length).toBeGreaterThan(78);
    settings.trafficSplit = {};
    const versions = new Set(await Promise.all(Array.from({ length: 40 }, () => versionOf(members[0]))));
    expect(versions.size).toBe(2);
    settings.trafficSplit = { hello: { '2.0': 100 } };
  });

  it('asks the others where the version does not answer', async () => {
    running.get('2.0')!.close().closeAllConnections();
    expect(await versionOf(members[0])).toBe('1.0');
    expect(gateway.get(SplitCalls).sharesOf('hello')).toEqual({ '2.0': 100 });
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
    expect(metrics).toMatch(/calls_split_fell_back_total\{callee="hello",callee_version="2.0".* [1-9]/);
  });
});
