// A stand-in for the API server of Kubernetes, because the tests have no cluster: real HTTP and WebSockets, objects in memory,
// as much of server-side apply as the engine relies on, and controllers of Deployments and Jobs whose pods behave as a test says.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { KubeConfig } from '@kubernetes/client-node';
import { WebSocketServer } from 'ws';
import { checkSchema } from '../kubernetes/check/schemas.ts';
import type { KubernetesObject } from '../kubernetes/objects.ts';
import { applyFields, mergeFields } from './apply.fixture.ts';
import { Cluster, type StoredObject } from './cluster.ts';
import { type Behave, type FakePod, reconcile } from './controllers.fixture.ts';

const resources: Record<string, Record<string, string>> = {
  '/api/v1': { configmaps: 'ConfigMap', pods: 'Pod', services: 'Service', serviceaccounts: 'ServiceAccount' },
  '/apis/apps/v1': { deployments: 'Deployment' },
  '/apis/autoscaling/v2': { horizontalpodautoscalers: 'HorizontalPodAutoscaler' },
  '/apis/batch/v1': { jobs: 'Job' },
  '/apis/coordination.k8s.io/v1': { leases: 'Lease' },
  '/apis/keda.sh/v1alpha1': {
    scaledobjects: 'ScaledObject',
    triggerauthentications: 'TriggerAuthentication',
  },
  '/apis/networking.k8s.io/v1': { networkpolicies: 'NetworkPolicy' },
  '/apis/policy/v1': { poddisruptionbudgets: 'PodDisruptionBudget' },
};
const stepMs = 5;

class Rejection extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The API server of one namespace. */
export class ApiServer {
  /** By kind and name. */
  readonly objects = new Map<string, StoredObject>();
  /** What was written, in order: `apply Deployment tea`. */
  readonly writes: string[] = [];
  /** What the schemas find wrong in applied objects. */
  readonly problems: string[] = [];
  behave: Behave = () => ({});
  /** How long a pod takes to end. */
  drainMs = 0;
  /** So many of the next requests are lost with their connection. */
  lostRequests = 0;
  readonly #namespace: string;
  readonly #http = createServer((request, response) => void this.#answer(request, response));
  readonly #webSockets = new WebSocketServer({ server: this.#http });
  /** What each manager has applied, by manager, kind and name. */
  readonly #applied = new Map<string, KubernetesObject>();
  #timer!: NodeJS.Timeout;
  #version = 0;

  constructor(namespace: string) {
    this.#namespace = namespace;
    this.#webSockets.on('connection', (webSocket, { url }) => {
      // Channel 0 is the connection, 1 its errors. Each begins with the number of the port.
      const port = Buffer.alloc(2);
      port.writeUInt16LE(3_000);
      for (const channel of [0, 1]) webSocket.send(Buffer.concat([Buffer.from([channel]), port]));
      const name = /\/pods\/([^/]+)\/portforward/.exec(url!)![1]!;
      const metrics = (this.objects.get(`Pod ${name}`) as FakePod | undefined)?.behaviour.metrics;
      webSocket.on('message', () => {
        const text = metrics?.() ?? '';
        const head = `HTTP/1.1 ${metrics ? 200 : 404} Any\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n`;
        webSocket.send(Buffer.concat([Buffer.from([0]), Buffer.from(head + text)]));
      });
    });
  }

  async start(): Promise<void> {
    await once(this.#http.listen(0, '127.0.0.1'), 'listening');
    this.#timer = setInterval(() => reconcile(this.objects, this.behave, this.drainMs), stepMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    for (const webSocket of this.#webSockets.clients) webSocket.terminate();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  /** The kubeconfig of a user of this server. */
  get kubeconfig(): string {
    const context = { cluster: 'test', user: 'test', namespace: this.#namespace };
    return JSON.stringify({
      ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'test' },
      clusters: [{ name: 'test', cluster: { server: this.url, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'test', user: { token: 'any' } }],
      contexts: [{ name: 'test', context }],
    });
  }

  connect(): Cluster {
    const config = new KubeConfig();
    config.loadFromString(this.kubeconfig);
    return new Cluster(config, this.#namespace);
  }

  find<T = StoredObject>(kind: string, name: string): T | undefined {
    return this.objects.get(`${kind} ${name}`) as T | undefined;
  }

  list<T = StoredObject>(kind: string): T[] {
    return [...this.objects.values()].filter((one) => one.kind === kind) as T[];
  }

  /** Stores an object as another tool does. */
  put(object: KubernetesObject): void {
    const key = `${object.kind} ${object.metadata.name}`;
    const before = this.objects.get(key);
    const isChanged = JSON.stringify(before?.spec) !== JSON.stringify(object.spec);
    const generation = (before?.metadata.generation ?? 0) + Number(isChanged);
    const { uid = randomUUID() } = before?.metadata ?? {};
    const metadata = { ...object.metadata, uid, generation, resourceVersion: String((this.#version += 1)) };
    const stored = { ...(before?.status ? { status: before.status } : {}), ...object, metadata };
    this.objects.set(key, JSON.parse(JSON.stringify(stored)) as StoredObject);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.lostRequests > 0) {
      this.lostRequests -= 1;
      request.socket.destroy();
      return;
    }
    let body = '';
    for await (const chunk of request) body += chunk;
    const send = (status: number, value: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(typeof value === 'string' ? value : JSON.stringify(value));
    };
    try {
      send(200, await this.#handle(request, body && JSON.parse(body)));
    } catch (error) {
      send(error instanceof Rejection ? error.status : 500, {
        kind: 'Status',
        message: (error as Error).message,
      });
    }
  }

  async #handle({ method, url, headers }: IncomingMessage, body: KubernetesObject): Promise<unknown> {
    const { pathname, searchParams } = new URL(url!, this.url);
    const kinds = resources[pathname];
    if (kinds)
      return { resources: Object.entries(kinds).map(([name, kind]) => ({ name, kind, namespaced: true })) };
    const [, root, namespace, resource, name, log] =
      /^(\/.+?)\/namespaces\/([^/]+)\/([^/]+)(?:\/([^/]+))?(\/log)?$/.exec(pathname) ?? [];
    const kind = resources[root!]?.[resource!];
    if (!kind || namespace !== this.#namespace) throw new Rejection(404, `there is no ${pathname}`);
    if (log) return (this.find<FakePod>('Pod', name!)?.behaviour.log ?? []).join('\n');
    if (method === 'GET') return name ? this.#get(kind, name) : { items: this.#select(kind, searchParams) };
    if (method === 'PATCH' && headers['content-type']!.startsWith('application/apply-patch'))
      return this.#apply(kind, name!, searchParams.get('fieldManager')!, body);
    this.writes.push(`${method!.toLowerCase()} ${kind} ${name ?? body.metadata.name}`);
    if (method === 'DELETE') return this.#delete(kind, name!);
    if (method === 'POST' && this.find(kind, body.metadata.name)) throw new Rejection(409, 'already exists');
    if (
      method === 'PUT' &&
      this.#get(kind, name!).metadata.resourceVersion !== (body as StoredObject).metadata.resourceVersion
    )
      throw new Rejection(409, 'the object has been modified');
    this.put(
      method === 'PATCH' ? (mergeFields(this.#get(kind, name!), { ...body }) as KubernetesObject) : body,
    );
    return this.#get(kind, name ?? body.metadata.name);
  }

  #get(kind: string, name: string): StoredObject {
    const found = this.find(kind, name);
    if (!found) throw new Rejection(404, `${kind} ${name} not found`);
    return found;
  }

  #select(kind: string, query: URLSearchParams): StoredObject[] {
    const wanted = (query.get('labelSelector') ?? '')
      .split(',')
      .filter(Boolean)
      .map((one) => one.split('='));
    return this.list(kind).filter(({ metadata }) =>
      wanted.every(([key, value]) => metadata.labels?.[key!] === value),
    );
  }

  async #apply(kind: string, name: string, manager: string, body: KubernetesObject): Promise<StoredObject> {
    this.writes.push(`apply ${kind} ${name}`);
    this.problems.push(...(await checkSchema(body)).map((problem) => `${kind} ${name}: ${problem}`));
    const { metadata, spec } =
      this.find<{ metadata: object; spec?: { selector?: unknown } }>(kind, name) ?? {};
    const { selector } = (body.spec ?? {}) as { selector?: unknown };
    if (kind === 'Deployment' && metadata && !isDeepStrictEqual(spec?.selector, selector))
      throw new Rejection(422, 'spec.selector: field is immutable');
    const key = `${manager} ${kind} ${name}`;
    const live = this.find(kind, name) ?? {};
    this.put(
      applyFields({ ...live }, { ...this.#applied.get(key) }, { ...body }) as unknown as KubernetesObject,
    );
    this.#applied.set(key, body);
    return this.#get(kind, name);
  }

  #delete(kind: string, name: string): object {
    this.#get(kind, name);
    this.objects.delete(`${kind} ${name}`);
    for (const key of this.#applied.keys()) if (key.endsWith(` ${kind} ${name}`)) this.#applied.delete(key);
    return { kind: 'Status', status: 'Success' };
  }
}
