import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import {
  createConfiguration,
  HttpMethod,
  KubeConfig,
  PatchStrategy,
  PortForward,
  RequestContext,
} from '@kubernetes/client-node';
import { DeliveryError } from '../delivery-error.ts';
import type { KubernetesObject } from '../kubernetes/objects.ts';

/** The API of a Kubernetes cluster rejected a request. */
export class RejectedByCluster extends DeliveryError {
  readonly status: number;

  constructor(status: number, title: string) {
    super(title, {
      remedies:
        status === 401 || status === 403 ? ['use a context that may do this: tools/delivery/README.md'] : [],
    });
    this.status = status;
  }
}

/** An object as the API server returns it. */
export interface StoredObject extends KubernetesObject {
  metadata: KubernetesObject['metadata'] & {
    uid: string;
    resourceVersion: string;
    generation?: number;
    deletionTimestamp?: string;
  };
}

/** Names the fields that this tool applies: https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers */
const fieldManager = 'jogakbo';
const timeoutMs = 10_000;

interface Resource {
  name: string;
  namespaced: boolean;
  kind: string;
}

/**
 * One namespace of a Kubernetes cluster. Objects are sent as they are: the typed API of the client library reads fields by
 * other names (`_from` for `from` of a NetworkPolicy) and would drop them.
 */
export class Cluster {
  readonly namespace: string;
  readonly #config: KubeConfig;
  readonly #http = createConfiguration().httpApi;
  readonly #resources = new Map<string, Promise<Resource[]>>();

  /** @param config has the context of the cluster as its current one */
  constructor(config: KubeConfig, namespace: string) {
    this.#config = config;
    this.namespace = namespace;
  }

  /**
   * Finds a cluster in the kubeconfig of this machine: KUBECONFIG, else ~/.kube/config. Does not connect.
   * @param context by default the current one @throws DeliveryError if there is no such context
   */
  static find(namespace: string, context?: string): Cluster {
    const config = new KubeConfig();
    try {
      config.loadFromDefault();
    } catch (error) {
      throw new DeliveryError(`The kubeconfig cannot be read: ${(error as Error).message}.`);
    }
    const contexts = config.getContexts().map(({ name }) => name);
    if (context !== undefined) {
      if (!contexts.includes(context))
        throw new DeliveryError(`The kubeconfig has no context ${context}; nothing was changed.`, {
          remedies: [contexts.length > 0 ? `its contexts are: ${contexts.join(', ')}` : 'set KUBECONFIG'],
        });
      config.setCurrentContext(context);
    }
    return new Cluster(config, namespace);
  }

  get address(): string {
    return this.#config.getCurrentCluster()?.server ?? 'no address';
  }

  /** Creates or changes an object by server-side apply. Takes over fields that other tools have set. */
  async apply<T extends StoredObject>(object: KubernetesObject): Promise<T> {
    const path = `${await this.#getPath(object.apiVersion, object.kind, object.metadata.name)}?${new URLSearchParams({ fieldManager, force: 'true' })}`;
    return this.#send<T>(HttpMethod.PATCH, path, object, PatchStrategy.ServerSideApply);
  }

  /** Changes some fields of an object. The next server-side apply decides again about those that it contains. */
  async merge(kind: Kind, name: string, part: object): Promise<void> {
    const path = `${await this.#getPath(...kind, name)}?fieldManager=${fieldManager}-scale`;
    await this.#send(HttpMethod.PATCH, path, part, PatchStrategy.MergePatch);
  }

  /** @returns undefined if it does not exist */
  async read<T extends StoredObject>(kind: Kind, name: string): Promise<T | undefined> {
    return orUndefined(404, async () => this.#send<T>(HttpMethod.GET, await this.#getPath(...kind, name)));
  }

  /** @param selector labels that the objects have */
  async list<T extends StoredObject>(kind: Kind, selector: Record<string, string>): Promise<T[]> {
    const labelSelector = Object.entries(selector)
      .map((pair) => pair.join('='))
      .join(',');
    const path = `${await this.#getPath(...kind)}?${new URLSearchParams({ labelSelector })}`;
    return (await this.#send<{ items: T[] }>(HttpMethod.GET, path)).items;
  }

  /** @returns undefined if it exists already */
  async create<T extends StoredObject>(object: KubernetesObject): Promise<T | undefined> {
    const path = await this.#getPath(object.apiVersion, object.kind);
    return orUndefined(409, () => this.#send<T>(HttpMethod.POST, path, object));
  }

  /** @returns undefined if it has changed since it was read, or does not exist any more */
  async replace<T extends StoredObject>(object: T): Promise<T | undefined> {
    const path = await this.#getPath(object.apiVersion, object.kind, object.metadata.name);
    return orUndefined(409, () => orUndefined(404, () => this.#send<T>(HttpMethod.PUT, path, object)));
  }

  /** Deletes an object and, in the background, what belongs to it. Does nothing if it does not exist. */
  async delete(kind: Kind, name: string): Promise<void> {
    const path = await this.#getPath(...kind, name);
    await orUndefined(404, () => this.#send(HttpMethod.DELETE, path, { propagationPolicy: 'Background' }));
  }

  /** The last lines that a pod has written. @param previous those of its process before the last restart */
  async readLog(pod: string, lines: number, previous = false): Promise<string[]> {
    const query = new URLSearchParams({ tailLines: String(lines), previous: String(previous) });
    const path = `/api/v1/namespaces/${this.namespace}/pods/${pod}/log?${query}`;
    try {
      return (await this.#fetch(HttpMethod.GET, path)).split('\n').filter(Boolean);
    } catch {
      return []; // it has not started, or is gone
    }
  }

  /**
   * Reads a text from the HTTP port of a pod. The connection goes through the API server and the kubelet, which no
   * NetworkPolicy stops.
   * @throws Error if the pod does not answer
   */
  async readFromPod(pod: string, port: number, path: string): Promise<string> {
    const forward = new PortForward(this.#config);
    const server = createServer((socket: Socket) => {
      socket.on('error', () => socket.destroy());
      void forward
        .portForward(this.namespace, pod, [port], socket, null, socket)
        .then((webSocket) => {
          if (typeof webSocket === 'function') return;
          webSocket.onclose = () => socket.destroy();
          socket.on('close', () => webSocket.close());
        })
        .catch(() => socket.destroy());
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    try {
      const { port: own } = server.address() as { port: number };
      const response = await fetch(`http://127.0.0.1:${own}${path}`, {
        headers: { connection: 'close' },
        signal: AbortSignal.timeout(timeoutMs),
      });
      return await response.text();
    } finally {
      server.close();
    }
  }

  async #getPath(apiVersion: string, kind: string, name?: string): Promise<string> {
    const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const known =
      this.#resources.get(root) ??
      this.#send<{ resources: Resource[] }>(HttpMethod.GET, root).then(({ resources }) => resources);
    this.#resources.set(root, known);
    const resource = (await known).find((one) => one.kind === kind && !one.name.includes('/'));
    if (!resource) throw new RejectedByCluster(404, `The cluster has no resource ${apiVersion} ${kind}.`);
    return [
      root,
      ...(resource.namespaced ? ['namespaces', this.namespace] : []),
      resource.name,
      ...(name === undefined ? [] : [name]),
    ].join('/');
  }

  async #send<T>(method: HttpMethod, path: string, body?: object, type?: string): Promise<T> {
    return JSON.parse(await this.#fetch(method, path, body, type)) as T;
  }

  async #fetch(method: HttpMethod, path: string, body?: object, type?: string): Promise<string> {
    const { status, text } = await this.#request(method, path, body, type);
    if (status >= 200 && status < 300) return text;
    throw new RejectedByCluster(
      status,
      `Kubernetes rejected ${method} ${path.split('?')[0]}: ${readReason(text) ?? status}.`,
    );
  }

  /** Repeats a request that can be repeated: a rollout takes minutes, and should survive a lost connection. */
  async #request(method: HttpMethod, path: string, body?: object, type?: string) {
    const attempts = repeatable.includes(method) ? 3 : 1;
    for (let attempt = 1; ; attempt += 1) {
      const request = await this.#createRequest(method, path, body, type);
      try {
        const { httpStatusCode: status, body: answer } = await this.#http.send(request).toPromise();
        return { status, text: await answer.text() };
      } catch (error) {
        if (attempt < attempts) {
          await pause(attempt * 300);
          continue;
        }
        throw new DeliveryError(
          `The Kubernetes API at ${this.address} does not respond: ${explain(error)}.`,
          {
            remedies: ['check the context and the network:  kubectl cluster-info'],
          },
        );
      }
    }
  }

  async #createRequest(
    method: HttpMethod,
    path: string,
    body: object | undefined,
    type = 'application/json',
  ): Promise<RequestContext> {
    const request = new RequestContext(this.address.replace(/\/$/, '') + path, method);
    request.setSignal(AbortSignal.timeout(timeoutMs));
    // Between two requests the server may close an idle connection, and the second one would fail.
    request.setHeaderParam('Connection', 'close');
    if (body) {
      request.setBody(JSON.stringify(body));
      request.setHeaderParam('Content-Type', type);
    }
    try {
      await this.#config.applySecurityAuthentication(request);
    } catch (error) {
      throw new DeliveryError(`The kubeconfig gives no access to ${this.address}: ${explain(error)}.`);
    }
    return request;
  }
}

/** Methods whose requests have the same effect if they arrive twice. PATCH is server-side apply or RFC 7396. */
const repeatable: readonly HttpMethod[] = [HttpMethod.GET, HttpMethod.PATCH, HttpMethod.DELETE];

/** The API version and kind of an object. */
export type Kind = readonly [apiVersion: string, kind: string];
export const kinds = {
  configMap: ['v1', 'ConfigMap'],
  deployment: ['apps/v1', 'Deployment'],
  job: ['batch/v1', 'Job'],
  lease: ['coordination.k8s.io/v1', 'Lease'],
  pod: ['v1', 'Pod'],
} as const satisfies Record<string, Kind>;

async function orUndefined<T>(status: number, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RejectedByCluster && error.status === status) return undefined;
    throw error;
  }
}

/** undici hides the reason in the cause, or in one of several. */
function explain(error: unknown): string {
  const { message, cause } = error as { message: string; cause?: { message?: string; errors?: Error[] } };
  return cause?.errors?.[0]?.message || cause?.message || message;
}

function readReason(text: string): string | undefined {
  try {
    return (JSON.parse(text) as { message?: string }).message?.replace(/\.$/, '');
  } catch {
    return text.slice(0, 200) || undefined;
  }
}
