import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { Eureka } from 'eureka-js-client';
import { type Store } from './store.ts';

/** Seconds between renewals: the shortest that count. */
const renewal = 5;

/** A service that knows nothing of the store but its registry: an HTTP server, and a stock client of Eureka beside it. */
export class Outsider {
  readonly #name: string;
  readonly #server = createServer((request, response) =>
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ hello: request.url })),
  );
  #client: Eureka | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  /** Registers, with a route for everybody, and renews from now on. */
  async join(store: Store): Promise<void> {
    if (!this.#server.listening) await once(this.#server.listen(0, '127.0.0.1'), 'listening');
    const routes = [`GET /v1/${this.#name}`, `GET /v1/${this.#name}/{who}`];
    const registry = await createCredential(store, this.#name, routes);
    const quiet = { debug() {}, info() {}, warn() {}, error() {}, level() {} };
    const client = new Eureka({
      logger: quiet,
      instance: {
        ...{ instanceId: `${this.#name}-1`, app: this.#name, vipAddress: this.#name, status: 'UP' },
        ...{ hostName: 'localhost', ipAddr: '127.0.0.1' },
        port: { $: (this.#server.address() as AddressInfo).port, '@enabled': 'true' },
        dataCenterInfo: { '@class': 'com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo', name: 'MyOwn' },
        leaseInfo: { renewalIntervalInSecs: renewal, durationInSecs: 3 * renewal },
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
        heartbeatInterval: renewal * 1_000,
        registryFetchInterval: 1_000,
        maxRetries: 1,
      },
    } as unknown as ConstructorParameters<typeof Eureka>[0]);
    this.#client = client;
    await new Promise<void>((resolve, reject) => {
      client.start((error?: Error) => (error ? reject(error) : resolve()));
    });
  }

  /** What its client was told of a service of the store. */
  knows(service: string): { status: string; metadata: Record<string, string> }[] {
    return this.#client!.getInstancesByAppId(service) as never;
  }

  /** Cancels, as the client does at its end. */
  async leave(): Promise<void> {
    await new Promise<void>((resolve) => this.#client!.stop(() => resolve()));
    this.#client = undefined;
  }

  async close(): Promise<void> {
    if (this.#client) await this.leave();
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** Lets an app of this machine register. Gives the address for its Eureka client. */
export async function createCredential(store: Store, app: string, routes: string[]): Promise<URL> {
  const { code, output } = await store.run([
    ...['registration', 'add', app, '--routes', routes.join(), '--networks', '127.0.0.0/8'],
  ]);
  if (code !== 0) throw new Error(output);
  return new URL(/^http:.*$/m.exec(output)![0]);
}

/** What the registry says of who is there, by service. */
export async function registered(store: Store): Promise<{ service: string; instance: string }[]> {
  const url = store.findRecord('registry')?.url;
  const response = await fetch(`${url}/instances`, { signal: AbortSignal.timeout(5_000) });
  return (await response.json()) as { service: string; instance: string }[];
}
