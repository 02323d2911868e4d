import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { service, type Access } from '@jogakbo/contract';
import { start, type RunningService } from '@jogakbo/service';
import { eventually, ServiceUnderTest } from '@jogakbo/testing';
import { z } from 'zod';
import { GatewayModule } from '../../src/gateway.module.ts';
import { configure, httpOptions } from '../../src/http-listener.ts';
import { KnownServices } from '../../src/known-services.ts';
import { DemoModule, demoState } from '../demo.ts';
import { createSigner, issuer, type Signer } from '../signer.ts';
import { StubbedIdentity } from '../stubbed-identity.ts';

/** Limit of concurrent requests per service. */
export const maxRequests = 50;
export const Announced = service('instances').event('announced', z.any());

/** An external HTTP service that records its requests. */
export interface HttpService {
  url: string;
  requests: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[];
  answer: (request: IncomingMessage, response: ServerResponse) => void;
  instance: string;
}

export interface Answer {
  status: number;
  headers: Headers;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- JSON of any shape
  body: any;
}

export interface AnnouncementOptions {
  name?: string;
  routes?: string[];
  access?: Access;
  interval?: number;
  state?: string;
  startedAt?: string;
  networks?: string[];
}

export function sendJson(response: ServerResponse, status: number, body: unknown, headers = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

/** A gateway, the demo service on the bus, and the external HTTP services of the current test. */
export class UpstreamsUnderTest {
  gateway!: ServiceUnderTest;
  identity!: StubbedIdentity;
  demo!: RunningService;
  key!: Signer;
  /** The announcements of the current test. */
  readonly announced: object[] = [];
  readonly #servers: Server[] = [];
  #nth = 0;

  async start(): Promise<void> {
    this.gateway = await ServiceUnderTest.start(
      GatewayModule,
      {
        TOKEN_ISSUER: issuer,
        LANGUAGES: 'nl,en',
        IDENTITY_SERVICE: 'demo',
        REQUEST_TIMEOUT: '1000',
        RESPONSE_LIMIT: '100000',
        UPSTREAM_REQUESTS: String(maxRequests),
        LEARN_FOR: '0',
        DENIED_UPSTREAMS: '127.0.0.1:6543',
        // Two keys: a key rotation is in progress.
        SERVICE_KEY: ['a', 'b'].map((one) => Buffer.alloc(32, one).toString('base64url')).join(),
      },
      { fastify: httpOptions, configure },
    );
    this.identity = await StubbedIdentity.start(this.gateway);
    this.key = await createSigner('k1');
    demoState.keys = [this.key.publicKey];
    this.demo = await start(DemoModule, {
      environment: { RABBITMQ_URL: this.gateway.broker.url, LOG_LEVEL: 'error', ANNOUNCE_EVERY: '0.2' },
    });
    await eventually(async () => (await this.call('/v1/things')).status === 200);
  }

  /** Withdraws and ends the HTTP services of a test. */
  async removeHttpServices(): Promise<void> {
    for (const one of this.announced.splice(0))
      await this.gateway.announce(Announced({ ...one, state: 'draining' }));
    for (const server of this.#servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  }

  async stop(): Promise<void> {
    await this.demo?.stop();
    await this.gateway?.stop();
  }

  createInstanceName(): string {
    return `eureka:HELLO:${(this.#nth += 1)}`;
  }

  readonly call = async (path: string, init: RequestInit = {}): Promise<Answer> => {
    const response = await fetch(this.gateway.url + path, init);
    const text = await response.text();
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    return {
      status: response.status,
      headers: response.headers,
      body: isJson ? JSON.parse(text) : text,
    };
  };

  readonly post = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
    this.call(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });

  readonly waitForRoute = (path: string) =>
    eventually(async () => (await this.call(path)).status === 200, 2_000);

  readonly startHttpService = async (answer?: HttpService['answer']): Promise<HttpService> => {
    const one: HttpService = {
      url: '',
      requests: [],
      answer: answer ?? ((_request, response) => sendJson(response, 200, { from: one.instance })),
      instance: this.createInstanceName(),
    };
    const server = createServer((request, response) => {
      let body = '';
      request.on('data', (data) => (body += data));
      request.on('end', () => {
        one.requests.push({ method: request.method!, url: request.url!, headers: request.headers, body });
        one.answer(request, response);
      });
    });
    this.#servers.push(server.listen(0, '127.0.0.1'));
    await once(server, 'listening');
    one.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return one;
  };

  /** Announces an instance, as the registry does. Waits until the gateway knows it. */
  readonly announce = async (
    { url, instance }: Pick<HttpService, 'url' | 'instance'>,
    options: AnnouncementOptions = {},
  ): Promise<void> => {
    const { name = 'hello', access = 'public', interval = 5, state = 'up' } = options;
    const { networks = ['127.0.0.0/8'] } = options;
    const { routes = ['GET /v1/hello', 'GET /v1/hello/{name}', 'POST /v1/hello'] } = options;
    const requests = routes.map((route) => describeRequest(name, route, access));
    const announcement = {
      service: name,
      version: '1',
      instance,
      state,
      url,
      interval,
      networks,
      upstream: 'http',
      startedAt: options.startedAt ?? new Date().toISOString(),
      contract: { service: name, description: '', requests, events: [] },
    };
    this.announced.push(announcement);
    await this.gateway.announce(Announced(announcement));
    const services = this.gateway.get(KnownServices);
    // The route table is updated later. It has no HTTP routes for services on the bus.
    const isInTable = () => {
      const known = services.externalContracts.find((one) => one.service === name)?.requests ?? [];
      return (
        name === 'demo' ||
        requests.every((one) => known.some((other) => other.name === one.name && other.access === access))
      );
    };
    await eventually(() => {
      const found = services.getUpstreams(name).find((one) => one.instance === instance);
      return state === 'up'
        ? found?.contract.requests.length === requests.length && found.url === url && isInTable()
        : found === undefined;
    });
  };
}

/** @param route `METHOD /path` */
function describeRequest(service: string, route: string, access: Access) {
  const [method, path] = route.split(' ') as [string, string];
  const parameters = [...path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter);
  return {
    name: `${service}.${route.replace(/\W+/g, '-').replace(/-$/, '')}`,
    kind: method === 'GET' ? 'query' : 'command',
    description: '',
    access,
    input: {},
    output: {},
    rejections: {},
    idempotency: 'none',
    http: { method, path, parameters, status: 200 },
  };
}
