import { writeBasicCredentials } from '@jogakbo/service/basic-credentials';
import { type BackingService } from '../backing-service.ts';
import { CliError, toMessage } from '../../terminal/cli-error.ts';

/** The broker properties that declarations need. */
export type Broker = Pick<BackingService, 'url' | 'managementUrl' | 'tls'> & { kind: string };

const requestTimeoutMs = 10_000;

/** The management API of a broker. Uses the login of its URL, and `defaultPassword` if that URL has no password. */
export class Management {
  readonly vhost: string;
  readonly #origin: string;
  readonly #authorization: string;

  constructor(managementUrl: string, brokerUrl: string, defaultPassword: string) {
    const { username, password, pathname } = new URL(brokerUrl);
    this.vhost = pathname.length > 1 ? decodeURIComponent(pathname.slice(1)) : '/';
    this.#origin = new URL(managementUrl).origin;
    this.#authorization = writeBasicCredentials(
      decodeURIComponent(username) || 'guest',
      decodeURIComponent(password) || defaultPassword,
    );
  }

  /** @throws Error if the API is unreachable or returns an error status */
  async #call<T>(method: string, path: string, body?: unknown, timeoutMs = requestTimeoutMs): Promise<T> {
    const response = await fetch(`${this.#origin}/api/${path}`, {
      method,
      headers: { authorization: this.#authorization, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await response.text();
    if (method === 'DELETE' && response.status === 404) return undefined as T;
    if (!response.ok) throw new Error(`${method} /api/${path}: ${response.status} ${text.slice(0, 300)}`);
    return (text ? JSON.parse(text) : undefined) as T;
  }

  /** Why the login cannot create other logins; undefined if it can. */
  async findDenialReason(): Promise<string | undefined> {
    try {
      const { tags } = await this.#call<{ tags: string | string[] }>('GET', 'whoami', undefined, 3_000);
      return [tags].flat().join().includes('administrator') ? undefined : 'its user is not an administrator';
    } catch (error) {
      const cause = (error as Error).cause ?? error;
      return `its management API at ${this.#origin} cannot be used (${toMessage(cause)}); RABBITMQ_MANAGEMENT_URL names another address`;
    }
  }

  users(): Promise<{ name: string; tags: string | string[] }[]> {
    return this.#call('GET', 'users?columns=name,tags');
  }

  queues(): Promise<{ name: string; arguments: Record<string, unknown> }[]> {
    return this.#call('GET', `queues/${encodeURIComponent(this.vhost)}?columns=name,arguments`);
  }

  /** The statistics are some seconds old, and missing shortly after a start of the broker. */
  queue(name: string): Promise<{ messages?: number; messages_dlx?: number }> {
    return this.#call('GET', `queues/${encodeURIComponent(this.vhost)}/${encodeURIComponent(name)}`);
  }

  /** Sets the limits of a login. The broker closes connections that exceed them. */
  async limit(user: string, limits: Readonly<Record<string, number>>): Promise<void> {
    for (const [name, value] of Object.entries(limits))
      await this.#call('PUT', `user-limits/${encodeURIComponent(user)}/${name}`, { value });
  }

  /** Sets an operator policy. Queue declarations cannot exceed its limits. */
  setOperatorPolicy(name: string, policy: object): Promise<void> {
    return this.#call('PUT', `operator-policies/${encodeURIComponent(this.vhost)}/${name}`, policy);
  }

  /** Deletes a queue with its messages, or an exchange. Does nothing if there is none. */
  delete(kind: 'queues' | 'exchanges', name: string): Promise<void> {
    return this.#call('DELETE', `${kind}/${encodeURIComponent(this.vhost)}/${encodeURIComponent(name)}`);
  }

  /** Deletes a login. Does nothing if there is none. */
  deleteUser(name: string): Promise<void> {
    return this.#call('DELETE', `users/${encodeURIComponent(name)}`);
  }

  /** Imports definitions in one request. Keeps all others. */
  define(definitions: object): Promise<void> {
    return this.#call('POST', 'definitions', definitions);
  }
}

/**
 * @param administratorPassword for a broker with TLS: its URL has a certificate instead, which the API does not accept
 * @returns the management API, or why that of an external broker cannot be used
 * @throws CliError if that of a private broker cannot be used
 */
export async function findManagement(
  { kind, url, managementUrl, tls }: Broker,
  administratorPassword: string,
): Promise<{ management: Management } | { management?: undefined; reason: string }> {
  const named = managementUrl ?? process.env.RABBITMQ_MANAGEMENT_URL;
  const management = new Management(
    named ?? `http://${new URL(url).hostname}:15672`,
    url,
    tls ? administratorPassword : 'guest',
  );
  const reason = await management.findDenialReason();
  if (!reason) return { management };
  if (kind === 'external') return { reason };
  throw new CliError(`The broker cannot be prepared: ${reason}.`, { remedies: ['npx jogakbo logs'] });
}
