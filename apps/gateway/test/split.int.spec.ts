import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { service } from '@jogakbo/contract';
import { Ask, Handles, toSplitKey } from '@jogakbo/messaging';
import { PlatformSettings, Service, SplitCalls, start, type RunningService } from '@jogakbo/service';
import { eventually, ServiceUnderTest } from '@jogakbo/testing';
import { Controller } from '@nestjs/common';
import { z } from 'zod';
import { configure, httpOptions } from '../src/http-listener.ts';
import { GatewayModule } from '../src/gateway.module.ts';
import { KnownServices } from '../src/known-services.ts';
import { DemoModule, demoState } from './demo.ts';
import { createSigner, issuer, type Signer } from './signer.ts';
import { StubbedIdentity } from './stubbed-identity.ts';

const Announced = service('instances').event('announced', z.any());
const Versions = { input: z.strictObject({}), output: z.object({ versions: z.array(z.string()) }) };
const [front, middle, back] = [service('front'), service('middle'), service('back')];
const AskFront = front.query('ask', { ...Versions, http: 'GET /v1/versions', access: 'public' });
const AskMiddle = middle.query('ask', Versions);
const AskBack = back.query('ask', Versions);

/** Creates one version of three services that call each other. The reply lists their versions, the first service first. */
function createChain(version: string) {
  const createLink = (contract: typeof front, asked: typeof AskBack, next?: typeof AskBack) => {
    @Controller()
    class Handler {
      constructor(private readonly ask: Ask) {}

      @Handles(asked)
      async answer() {
        const { versions } = next ? await this.ask(next, {}) : { versions: [] };
        return { versions: [version, ...versions] };
      }
    }
    @Service({ contract, calls: next ? [next] : [], handlers: [Handler] })
    class Link {}
    return Link;
  };
  return [
    createLink(back, AskBack),
    createLink(middle, AskMiddle, AskBack),
    createLink(front, AskFront, AskMiddle),
  ];
}

const fifth = { '2.0': 20 };
const trafficSplit = { hello: { '2.0': 10 }, front: fifth, middle: fifth, back: fifth };
const members = Array.from({ length: 200 }, (_, nth) => `member-${nth}`);

describe('traffic splitting for a service called over HTTP', () => {
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
        LANGUAGES: 'nl,en',
        IDENTITY_SERVICE: 'demo',
        LEARN_FOR: '0',
        // No load shedding on a busy machine.
        MAX_LOOP_DELAY: '10000',
        TRAFFIC_SPLIT: JSON.stringify(trafficSplit),
      },
      { fastify: httpOptions, configure },
    );
    await StubbedIdentity.start(gateway);
    key = await createSigner('k1');
    demoState.keys = [key.publicKey];
    demo = await start(DemoModule, { environment: { RABBITMQ_URL: gateway.broker.url, LOG_LEVEL: 'error' } });
    await eventually(async () => (await fetch(`${gateway.url}/v1/things`)).status === 200);
    // Longer than this suite takes on a busy machine.
    const exp = Math.floor(Date.now() / 1_000) + 600;
    for (const member of members) tokens.set(member, await key.sign({ sub: member, sid: member, exp }));
    await run('1.0');
    await run('2.0');
  }, 90_000);
  afterAll(async () => {
    for (const server of running.values()) server.close().closeAllConnections();
    await demo?.stop();
    await gateway?.stop();
  });

  async function run(version: string): Promise<void> {
    const server = createServer(({ headers }, response) =>
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ version, splitKey: headers['x-jogakbo-split-key'] })),
    ).listen(0, '127.0.0.1');
    running.set(version, server);
    await once(server, 'listening');
    const http = { method: 'GET', path: '/v1/hello', parameters: [], status: 200 };
    const request = {
      name: 'hello.get',
      kind: 'query',
      description: '',
      access: 'public',
      idempotency: 'none',
      http,
      input: {},
      output: {},
      rejections: {},
    };
    const startedAt = new Date().toISOString();
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await gateway.announce(
      Announced({
        service: 'hello',
        version,
        instance: `eureka:HELLO:${version}`,
        state: 'up',
        url,
        startedAt,
        interval: 60,
        upstream: 'http',
        networks: ['127.0.0.0/8'],
        contract: { service: 'hello', description: '', requests: [request], events: [] },
      }),
    );
    await eventually(() =>
      gateway
        .get(KnownServices)
        .getUpstreams('hello')
        .some((one) => one.version === version),
    );
  }

  async function getVersion(member?: string): Promise<string> {
    const response = await fetch(`${gateway.url}/v1/hello`, {
      headers: member ? { authorization: `Bearer ${tokens.get(member)}` } : {},
    });
    const body = (await response.json()) as { version: string };
    expect({ status: response.status, ...body }).toMatchObject({ status: 200 });
    return body.version;
  }
  async function findMembersOn(version: string): Promise<string[]> {
    const versions: string[] = [];
    for (let from = 0; from < members.length; from += 20)
      versions.push(...(await Promise.all(members.slice(from, from + 20).map((one) => getVersion(one)))));
    return members.filter((_, nth) => versions[nth] === version);
  }

  it('assigns the configured share, and always the same members and addresses', async () => {
    const first = await findMembersOn('2.0');
    // 20 of 200, within three standard deviations of a binomial distribution.
    expect(first.length).toBeGreaterThan(7);
    expect(first.length).toBeLessThan(33);
    expect(await findMembersOn('2.0')).toEqual(first);
    const fromHere = await Promise.all(Array.from({ length: 20 }, () => getVersion()));
    expect(new Set(fromHere).size).toBe(1);
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
    expect(metrics).toMatch(/calls_split_total\{callee="hello",callee_version="2.0".* \d+/);
  });

  it("sends the gateway's own split key to an instance", async () => {
    const [member] = members as [string];
    const headers = { authorization: `Bearer ${tokens.get(member)}`, 'x-jogakbo-split-key': '1' };
    const response = await fetch(`${gateway.url}/v1/hello`, { headers });
    expect(await response.json()).toMatchObject({ splitKey: String(toSplitKey(member)) });
  });

  it('assigns the same version at all services of a chain', async () => {
    const environment = {
      RABBITMQ_URL: gateway.broker.url,
      LOG_LEVEL: 'error',
      LOCAL_MODE: 'true',
      TRAFFIC_SPLIT: JSON.stringify(trafficSplit),
    };
    const services: RunningService[] = [];
    // All instances of 1.0 first: a version that runs alone takes all calls.
    for (const version of ['1.0', '2.0'])
      for (const module of createChain(version)) services.push(await start(module, { version, environment }));
    try {
      const getVersions = async (member: string) => {
        const authorization = `Bearer ${tokens.get(member)}`;
        const response = await fetch(`${gateway.url}/v1/versions`, { headers: { authorization } });
        return ((await response.json()) as { versions?: string[] }).versions;
      };
      await eventually(() => getVersions(members[0]!));
      const results: [string, string[] | undefined][] = [];
      for (const member of members) results.push([member, await getVersions(member)]);
      const getExpected = (member: string) =>
        toSplitKey(member) < 2_000 ? ['2.0', '2.0', '2.0'] : ['1.0', '1.0', '1.0'];
      expect(results).toEqual(members.map((member) => [member, getExpected(member)]));
      const share = results.filter(([, versions]) => versions?.[0] === '2.0').length;
      expect(share).toBeGreaterThan(22);
      expect(share).toBeLessThan(58);
    } finally {
      await Promise.all(services.map((one) => one.stop()));
    }
  }, 60_000);

  it('changes and ends without delay', async () => {
    const settings = gateway.get(PlatformSettings);
    const before = await findMembersOn('2.0');
    settings.trafficSplit = { hello: { '2.0': 50 } };
    const more = await findMembersOn('2.0');
    expect(more).toEqual(expect.arrayContaining(before));
    expect(more.length).toBeGreaterThan(78);
    settings.trafficSplit = {};
    const versions = new Set(await Promise.all(Array.from({ length: 40 }, () => getVersion(members[0]))));
    expect(versions.size).toBe(2);
    settings.trafficSplit = { hello: { '2.0': 100 } };
  });

  it('falls back to other versions if the version does not respond', async () => {
    running.get('2.0')!.close().closeAllConnections();
    expect(await getVersion(members[0])).toBe('1.0');
    expect(gateway.get(SplitCalls).getShares('hello')).toEqual({ '2.0': 100 });
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
    expect(metrics).toMatch(/calls_split_fell_back_total\{callee="hello",callee_version="2.0".* [1-9]/);
  });
});
