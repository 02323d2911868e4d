import { connect } from 'node:net';
import { expect } from '@jest/globals';
import { Readiness, start as startModule, type RunningService } from '@jogakbo/service';
import { eventually, ServiceUnderTest } from '@jogakbo/testing';
import { configure, httpOptions } from '../src/http-listener.ts';
import { GatewayModule } from '../src/gateway.module.ts';
import { DemoModule, demoState } from './demo.ts';
import { createSigner, issuer, type Signer } from './signer.ts';
import { StubbedIdentity } from './stubbed-identity.ts';

export const id = '0190a5a0-0000-7000-8000-000000000001';
export const json = { 'content-type': 'application/json' };

export interface GatewayResponse {
  status: number;
  headers: Headers;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- JSON of any shape
  body: any;
}

interface Call {
  method?: string;
  token?: string;
  headers?: Record<string, string>;
  body?: unknown;
}

/** A gateway and the demo service. Tests call it over HTTP as clients. */
export class GatewayUnderTest {
  service!: ServiceUnderTest;
  /** Reports revoked tokens to the gateway. */
  identity!: StubbedIdentity;
  key!: Signer;
  /** Access tokens, one per role. */
  member!: string;
  moderator!: string;
  operator!: string;
  /** The response for a route before the first announcement. */
  beforeAnnouncements!: GatewayResponse;
  #demo?: RunningService;
  #begun = 0;

  /**
   * @param environment settings of the gateway in addition to the defaults of all suites
   * @param options `withoutIdentity`: identity is missing until `stubIdentity` is called
   */
  async start(environment: NodeJS.ProcessEnv = {}, { withoutIdentity = false } = {}): Promise<void> {
    this.service = await ServiceUnderTest.start(
      GatewayModule,
      {
        TOKEN_ISSUER: issuer,
        TITLE: 'Tea & Books',
        LANGUAGES: 'nl,en',
        IDENTITY_SERVICE: 'demo',
        REQUEST_TIMEOUT: '1000',
        READY_ROUTES: 'POST /v1/jobs, GET /v1/things',
        LEARN_FOR: '3',
        ...environment,
      },
      { fastify: httpOptions, configure },
    );
    expect((await this.call('/health/ready')).status).toBe(503);
    this.beforeAnnouncements = await this.call('/v1/things');
    this.key = await createSigner('k1');
    demoState.keys = [this.key.publicKey];
    if (!withoutIdentity) await this.stubIdentity();
    await this.startDemo(withoutIdentity ? '/v1/things' : '/health/ready');
    await eventually(async () => (await this.call('/v1/nothing')).status === 404);
    this.member = await this.key.sign();
    this.moderator = await this.key.sign({ sub: 'm-2', roles: ['member', 'moderator'] });
    this.operator = await this.key.sign({ sub: 'm-3', roles: ['operator'] });
  }

  async stop(): Promise<void> {
    await this.stopDemo();
    await this.service?.stop();
  }

  startService(module: typeof DemoModule): Promise<RunningService> {
    return startModule(module, {
      environment: { RABBITMQ_URL: this.service.broker.url, LOG_LEVEL: 'error', ANNOUNCE_EVERY: '0.2' },
      configure: (app) => app.get(Readiness).simulate('demo-provider'),
    });
  }

  async stubIdentity(): Promise<void> {
    this.identity = await StubbedIdentity.start(this.service);
  }

  async startDemo(until = '/health/ready'): Promise<void> {
    this.#demo = await this.startService(DemoModule);
    await eventually(async () => (await this.call(until)).status === 200);
  }

  async stopDemo(): Promise<void> {
    await this.#demo?.stop();
  }

  async call(path: string, options: Call = {}): Promise<GatewayResponse> {
    const { method = options.body === undefined ? 'GET' : 'POST', token, body } = options;
    const response = await fetch(this.service.url + path, {
      method,
      headers: {
        ...(body !== undefined && json),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...options.headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      body: text ? parseJsonOrText(text) : undefined,
    };
  }

  /** Begins a job with a new idempotency key. */
  beginJob(body: object, headers: Record<string, string> = {}): Promise<GatewayResponse> {
    return this.call('/v1/jobs', {
      token: this.member,
      body: { lines: [{ quantity: 1 }], ...body },
      headers: { 'idempotency-key': `key-${++this.#begun}`, ...headers },
    });
  }

  /** Sends bytes that `fetch` cannot send. */
  sendRaw(text: string | Buffer): Promise<string> {
    const { port } = new URL(this.service.url);
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), '127.0.0.1', () => socket.write(text));
      let answer = '';
      socket.setTimeout(3_000, () => socket.destroy());
      socket.on('data', (data) => (answer += data.toString()));
      socket
        .on('close', () => resolve(answer))
        .on('error', (error) => (answer ? resolve(answer) : reject(error)));
    });
  }
}

function parseJsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Asserts the common form of all error responses. */
export function expectProblem(answer: GatewayResponse, status: number, code: string, field?: string): void {
  expect({ status: answer.status, body: answer.body }).toMatchObject({
    status,
    body: { status, code, type: `/problems/${code}`, title: expect.any(String) },
  });
  expect(answer.body.traceId).toMatch(/^[0-9a-f]{32}$/);
  expect(answer.headers.get('content-type')).toContain('application/problem+json');
  expect(answer.headers.get('x-request-id')).toBe(answer.body.traceId);
  expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
  expect(answer.headers.get('cache-control')).toBe('no-store');
  if (field) expect(answer.body.errors).toContainEqual({ path: field, message: expect.any(String) });
}
