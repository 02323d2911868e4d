import { connect } from 'node:net';
import { expect } from '@jest/globals';
import { Readiness, start, type RunningService } from '@jogakbo/service';
import { eventually, ServiceUnderTest } from '@jogakbo/testing';
import { configure, httpOptions } from '../src/http-listener.ts';
import { GatewayModule } from '../src/gateway.module.ts';
import { DemoModule, seen } from './demo.ts';
import { issuer, signer, type Signer } from './signer.ts';
import { StubbedIdentity } from './stubbed-identity.ts';

export const id = '0190a5a0-0000-7000-8000-000000000001';
export const json = { 'content-type': 'application/json' };

export interface Answer {
  status: number;
  headers: Headers;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- what came over the wire
  body: any;
}

interface Call {
  method?: string;
  token?: string;
  headers?: Record<string, string>;
  body?: unknown;
}

/** The gateway with the demo service behind it, as a client meets it. */
export class GatewayUnderTest {
  service!: ServiceUnderTest;
  /** Tells the gateway which tokens are revoked. */
  identity!: StubbedIdentity;
  key!: Signer;
  /** Access tokens of those who have these roles. */
  member!: string;
  merchant!: string;
  operator!: string;
  /** What it said of a route before anybody announced one. */
  whileLearning!: Answer;
  #demo?: RunningService;
  #begun = 0;

  /**
   * @param environment settings of the gateway beside those that every suite has
   * @param options `withoutIdentity`: until `stubIdentity` is called
   */
  async open(environment: NodeJS.ProcessEnv = {}, { withoutIdentity = false } = {}): Promise<void> {
    this.service = await ServiceUnderTest.start(
      GatewayModule,
      {
        TOKEN_ISSUER: issuer,
        IDENTITY_SERVICE: 'demo',
        REQUEST_TIMEOUT: '1000',
        READY_ROUTES: 'POST /v1/jobs, GET /v1/things',
        LEARN_FOR: '3',
        ...environment,
      },
      { fastify: httpOptions, configure },
    );
    expect((await this.call('/health/ready')).status).toBe(503);
    this.whileLearning = await this.call('/v1/things');
    this.key = await signer('k1');
    seen.keys = [this.key.publicKey];
    if (!withoutIdentity) await this.stubIdentity();
    await this.serveDemo(withoutIdentity ? '/v1/things' : '/health/ready');
    await eventually(async () => (await this.call('/v1/nothing')).status === 404);
    this.member = await this.key.sign();
    this.merchant = await this.key.sign({ sub: 'm-2', roles: ['member', 'merchant'] });
    this.operator = await this.key.sign({ sub: 'm-3', roles: ['operator'] });
  }

  async close(): Promise<void> {
    await this.stopDemo();
    await this.service?.stop();
  }

  run(module: typeof DemoModule): Promise<RunningService> {
    return start(module, {
      environment: { RABBITMQ_URL: this.service.broker.url, LOG_LEVEL: 'error', ANNOUNCE_EVERY: '0.2' },
      configure: (app) => app.get(Readiness).simulate('demo-provider'),
    });
  }

  async stubIdentity(): Promise<void> {
    this.identity = await StubbedIdentity.start(this.service);
  }

  async serveDemo(until = '/health/ready'): Promise<void> {
    this.#demo = await this.run(DemoModule);
    await eventually(async () => (await this.call(until)).status === 200);
  }

  async stopDemo(): Promise<void> {
    await this.#demo?.stop();
  }

  async call(path: string, options: Call = {}): Promise<Answer> {
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
    return { status: response.status, headers: response.headers, body: text ? tryJson(text) : undefined };
  }

  /** Begins a job, each under a key of its own. */
  begin(body: object, headers: Record<string, string> = {}): Promise<Answer> {
    return this.call('/v1/jobs', {
      token: this.member,
      body: { lines: [{ quantity: 1 }], ...body },
      headers: { 'idempotency-key': `key-${++this.#begun}`, ...headers },
    });
  }

  /** For what fetch would not send. */
  raw(text: string | Buffer): Promise<string> {
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

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Every error looks like this, wherever it came from. */
export function expectProblem(answer: Answer, status: number, code: string, field?: string): void {
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
