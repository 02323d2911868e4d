import { createHash } from 'node:crypto';
import { service } from '@jogakbo/contract';
import { SetRegistration, type InstanceView } from '@jogakbo/contracts-registry';
import { start, type RunningService } from '@jogakbo/service';
import { writeBasicCredentials } from '@jogakbo/service/basic-credentials';
import { eventually, ServiceUnderTest } from '@jogakbo/testing';
import { Eureka as EurekaClient } from 'eureka-js-client';
import { z } from 'zod';
import { configure, httpOptions } from '../../src/http.ts';
import { RegistryModule } from '../../src/registry.module.ts';
import { GreeterModule } from '../greeter.ts';

export const getSecret = (app: string) => `the secret of ${app}`;
export const toBasic = (app: string, secret = getSecret(app)) => writeBasicCredentials(app, secret);
/** Differs only in the lowest bit, which is unused because of the base64 padding of these credentials. */
export const nextLetter = (letter: string) => String.fromCharCode(letter.charCodeAt(0) + 1);
export const operator = { caller: { memberId: 'the operator', roles: ['operator'] } };
/** The routes of each registered app. */
export const routesByApp = {
  hello: ['GET /v1/hello', 'GET /v1/hello/{name}', 'GET /v1/hi'],
  bye: ['GET /v1/bye'],
  delta: [],
  flood: ['GET /v1/flood/{name}'],
};
/** Seconds. */
export const renewal = 0.5;
export const mostInstances = 5;
export const RollCall = service('instances').event('roll-call', z.object({}));
export const sleep = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1_000));

export interface Options {
  authorization?: string | undefined;
  accept?: string;
  body?: unknown;
  url?: string;
}

/** A registry with registered apps, and a service of the store on its bus. */
export class EurekaUnderTest {
  registry!: ServiceUnderTest;
  greeter!: RunningService;
  readonly clients: EurekaClient[] = [];
  readonly #replicas: RunningService[] = [];

  async start(): Promise<void> {
    this.registry = await ServiceUnderTest.start(
      RegistryModule,
      {
        SHORTEST_RENEWAL: String(renewal),
        ANNOUNCE_EVERY: '5',
        DENIED_UPSTREAMS: '127.0.0.1:6543',
        INSTANCES_PER_APP: String(mostInstances),
        CHANGES_PER_APP: '10000',
      },
      { fastify: httpOptions, configure },
    );
    for (const [app, routes] of Object.entries(routesByApp)) await this.grant(app, { routes });
    this.greeter = await start(GreeterModule, {
      environment: { RABBITMQ_URL: this.registry.broker.url, LOG_LEVEL: 'error', ANNOUNCE_EVERY: '5' },
    });
    await eventually(async () => (await this.instances()).some(({ service }) => service === 'greeter'));
  }

  /** Ends replicas and clients of a test, and removes its instances. */
  async removeInstances(): Promise<void> {
    await Promise.all(this.#replicas.splice(0).map((replica) => replica.stop()));
    await Promise.all(
      this.clients.splice(0).map((client) => new Promise((done) => client.stop(() => done(undefined)))),
    );
    for (const one of await this.instances()) {
      const [, app, instanceId] = one.instance.split(':', 3);
      if (one.upstream === 'http') await this.eureka('DELETE', `/apps/${app}/${instanceId}`);
    }
  }

  async stop(): Promise<void> {
    await this.greeter?.stop();
    await this.registry?.stop();
  }

  readonly replicate = async (): Promise<RunningService> => {
    const replica = await this.registry.startAnother();
    this.#replicas.push(replica);
    return replica;
  };

  /** Creates a registration, as an operator. */
  readonly grant = (
    app: string,
    changes: { secret?: string; routes?: string[]; networks?: string[] } = {},
  ) => {
    const { secret = getSecret(app), routes = [], networks = ['127.0.0.0/8'] } = changes;
    const secretHash = createHash('sha256').update(secret).digest('hex');
    return this.registry.ask(SetRegistration, { app, secretHash, routes, networks }, operator);
  };

  /** Sends a request, by default with the credential of the app in the path. */
  readonly eureka = async (method: string, path: string, options: Options = {}) => {
    const own = toBasic((path.split(/[/?]/)[2] ?? '').toLowerCase());
    const { authorization = own, accept = 'application/json', body, url = this.registry.url } = options;
    const isText = typeof body === 'string';
    const response = await fetch(`${url}/eureka${path}`, {
      method,
      headers: {
        ...(authorization && { authorization }),
        ...(accept && { accept }),
        ...(body !== undefined && { 'content-type': isText ? 'application/xml' : 'application/json' }),
      },
      ...(body !== undefined && { body: isText ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- untyped response
    const json: any = text.startsWith('{') ? JSON.parse(text) : undefined;
    return { status: response.status, text, json };
  };

  readonly instances = async (url = this.registry.url): Promise<InstanceView[]> =>
    (await (await fetch(`${url}/instances`)).json()) as InstanceView[];

  readonly hellos = async (url?: string) =>
    (await this.instances(url)).filter(({ service }) => service === 'hello');

  readonly registration = (changes: Record<string, unknown> = {}) => ({
    instance: {
      instanceId: 'hello-1',
      hostName: 'localhost',
      app: 'HELLO',
      ipAddr: '127.0.0.1',
      vipAddress: 'hello',
      status: 'UP',
      port: { $: 8080, '@enabled': 'true' },
      dataCenterInfo: { '@class': 'com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo', name: 'MyOwn' },
      leaseInfo: { renewalIntervalInSecs: renewal, durationInSecs: 90 },
      metadata: { routes: 'GET /v1/hello; GET /v1/hello/{name}', access: 'public', version: '7' },
      ...changes,
    },
  });

  readonly register = (changes?: Record<string, unknown>, options?: Options) =>
    this.eureka('POST', '/apps/HELLO', { body: this.registration(changes), ...options });

  /** A standard Eureka client, configured as documented. */
  readonly startClient = (): EurekaClient => {
    const address = new URL(this.registry.url);
    const quiet = { debug() {}, info() {}, warn() {}, error() {}, level() {} };
    const client = new EurekaClient({
      logger: quiet,
      instance: this.registration().instance,
      eureka: {
        host: `hello:${encodeURIComponent(getSecret('hello'))}@${address.hostname}`,
        port: Number(address.port),
        servicePath: '/eureka/apps/',
        heartbeatInterval: renewal * 1_000,
        registryFetchInterval: 100,
        maxRetries: 1,
      },
    } as unknown as ConstructorParameters<typeof EurekaClient>[0]);
    this.clients.push(client);
    return client;
  };
}
