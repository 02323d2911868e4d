import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { Eureka } from 'eureka-js-client';
import { type Store } from './store.ts';

/** The shortest interval that the registry accepts. */
const renewalSeconds = 5;

/** An external service that uses only the registry: an HTTP server with an unmodified Eureka client. */
export class ExternalService {
  readonly #name: string;
  readonly #server = createServer((request, response) =>
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ hello: request.url })),
  );
  #client: Eureka | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  /** Registers with public routes, and renews the registration from now on. */
  async register(store: Store): Promise<void> {
    if (!this.#server.listening) await once(this.#server.listen(0, '127.0.0.1'), 'listening');
    const routes = [`GET /v1/${this.#name}`, `GET /v1/${this.#name}/{who}`];
    const registry = await createCredential(store, this.#name, routes);
    const logger = { debug() {}, info() {}, warn() {}, error() {}, level() {} };
    const client = new Eureka({
      logger,
      instance: {
        instanceId: `${this.#name}-1`,
        app: this.#name,
        vipAddress: this.#name,
        status: 'UP',
        hostName: 'localhost',
        ipAddr: '127.0.0.1',
        port: { $: (this.#server.address() as AddressInfo).port, '@enabled': 'true' },
        dataCenterInfo: { '@class': 'com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo', name: 'MyOwn' },
        leaseInfo: { renewalIntervalInSecs: renewalSeconds, durationInSecs: 3 * renewalSeconds },
        metadata: {
          routes: routes.join('; '),
          access: 'public',
          version: '2.1.0',
        },
      },
      eureka: {
        host: `${registry.username}:${registry.password}@127.0.0.1`,
        port: Number(registry.port),
        servicePath: '/eureka/apps/',
        heartbeatInterval: renewalSeconds * 1_000,
        registryFetchInterval: 1_000,
        maxRetries: 1,
      },
    } as unknown as ConstructorParameters<typeof Eureka>[0]);
    this.#client = client;
    await new Promise<void>((resolve, reject) => {
      client.start((error?: Error) => (error ? reject(error) : resolve()));
    });
  }

  /** Instances of a service of the store that the Eureka client has received. */
  getInstances(service: string): { status: string; metadata: Record<string, string> }[] {
    return this.#client!.getInstancesByAppId(service) as never;
  }

  /** Cancels the registration, like the client does when it stops. */
  async deregister(): Promise<void> {
    await new Promise<void>((resolve) => this.#client!.stop(() => resolve()));
    this.#client = undefined;
  }

  async close(): Promise<void> {
    if (this.#client) await this.deregister();
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** Allows an app on this machine to register. @returns the registry URL for its Eureka client */
export async function createCredential(store: Store, app: string, routes: string[]): Promise<URL> {
  const { code, output } = await store.run([
    'registration',
    'add',
    app,
    '--routes',
    routes.join(),
    '--networks',
    '127.0.0.0/8',
  ]);
  if (code !== 0) throw new Error(output);
  return new URL(/^http:.*$/m.exec(output)![0]);
}

/** Lists the instances at the registry. */
export async function listRegistered(store: Store): Promise<{ service: string; instance: string }[]> {
  const url = store.findRecord('registry')?.url;
  const response = await fetch(`${url}/instances`, { signal: AbortSignal.timeout(5_000) });
  return (await response.json()) as { service: string; instance: string }[];
}
