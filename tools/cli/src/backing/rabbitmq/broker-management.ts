import { type BackingService } from '../backing-service.ts';
import { CliError, toMessage } from '../../terminal/cli-error.ts';

/** What is needed of a broker here. */
export type Broker = Pick<BackingService, 'url' | 'managementUrl' | 'tls'> & { kind: string };

const patience = 10_000;

/** The management API of a broker, with the login of its address; of a login by certificate the password is given. */
export class Management {
  readonly vhost: string;
  readonly #origin: string;
  readonly #authorization: string;

  constructor(managementUrl: string, brokerUrl: string, givenPassword: string) {
    const { username, password, pathname } = new URL(brokerUrl);
    const login = `${decodeURIComponent(username) || 'guest'}:${decodeURIComponent(password) || givenPassword}`;
    this.vhost = pathname.length > 1 ? decodeURIComponent(pathname.slice(1)) : '/';
    this.#origin = new URL(managementUrl).origin;
    this.#authorization = `Basic ${Buffer.from(login).toString('base64')}`;
  }

  /** @throws Error where it cannot be reached, or says no */
  async #call<T>(method: string, path: string, body?: unknown, within = patience): Promise<T> {
    const response = await fetch(`${this.#origin}/api/${path}`, {
      method,
      headers: { authorization: this.#authorization, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(within),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} /api/${path}: ${response.status} ${text.slice(0, 300)}`);
    return (text ? JSON.parse(text) : undefined) as T;
  }

  /** Undefined where the login may make other logins, else why not. */
  async whyNot(): Promise<string | undefined> {
    try {
      const { tags } = await this.#call<{ tags: string | string[] }>('GET', 'whoami', undefined, 3_000);
      return [tags].flat().join().includes('administrator') ? undefined : 'its user is no administrator';
    } catch (error) {
      const cause = (error as Error).cause ?? error;
      return `its management API at ${this.#origin} does not let us in (${toMessage(cause)}); RABBITMQ_MANAGEMENT_URL names another address`;
    }
  }

  users(): Promise<{ name: string; tags: string | string[] }[]> {
    return this.#call('GET', 'users?columns=name,tags');
  }

  queues(): Promise<{ name: string; arguments: Record<string, unknown> }[]> {
    return this.#call('GET', `queues/${encodeURIComponent(this.vhost)}?columns=name,arguments`);
  }

  /** Its state is some seconds old, and not there yet where the broker has just started. */
  queue(name: string): Promise<{ messages?: number; messages_dlx?: number }> {
    return this.#call('GET', `queues/${encodeURIComponent(this.vhost)}/${encodeURIComponent(name)}`);
  }

  /** Sets what a login may hold at once; the broker closes a connection that asks for more. */
  async limit(user: string, limits: Readonly<Record<string, number>>): Promise<void> {
    for (const [name, value] of Object.entries(limits))
      await this.#call('PUT', `user-limits/${encodeURIComponent(user)}/${name}`, { value });
  }

  /** Holds for queues whatever those who declare them say. */
  setOperatorPolicy(name: string, policy: object): Promise<void> {
    return this.#call('PUT', `operator-policies/${encodeURIComponent(this.vhost)}/${name}`, policy);
  }

  /** Adds to what is there, all in one request. */
  define(definitions: object): Promise<void> {
    return this.#call('POST', 'definitions', definitions);
  }
}

/** Gives why not, where a broker that is not ours has no management API for us. @throws Fault where it is ours */
export async function findManagement(
  { kind, url, managementUrl, tls }: Broker,
  operatorPassword: string,
): Promise<Management | string> {
  const named = managementUrl ?? process.env.RABBITMQ_MANAGEMENT_URL;
  const management = new Management(
    named ?? `http://${new URL(url).hostname}:15672`,
    url,
    tls ? operatorPassword : 'guest',
  );
  const why = await management.whyNot();
  if (!why) return management;
  if (kind === 'given') return why;
  throw new CliError(`The broker cannot be prepared: ${why}.`, { remedies: ['npx jogakbo logs'] });
}
