import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';

/** What the store is started with. */
const withTls = ['1', 'true'].includes(process.env.JOGAKBO_TLS ?? '');

export const repository = resolve(import.meta.dirname, '..', '..', '..');

export interface Row {
  service: string;
  state: string;
  pid?: number;
  url?: string;
  /** Milliseconds. */
  uptime?: number;
}

interface Staff {
  email: string;
  password: string;
  roles: string[];
}

/** Services hold pieces only this long, and the provider is this slow, so that both happen within a run. */
const settings = { RESERVATION_MINUTES: '0.1', SANDBOX_DELAY: '16000', LOG_LEVEL: 'warn' };

/** A store of our own, met as its user meets it: by the command line, and by the files that it keeps. */
export class Store {
  readonly home: string;
  readonly #workspace: string;
  readonly #environment: NodeJS.ProcessEnv;
  port = 0;

  /**
   * @param workspace whose services run
   * @param environment what they are to have in theirs, beside the usual
   */
  constructor(folder: string, workspace = repository, environment: NodeJS.ProcessEnv = {}) {
    this.home = join(folder, '.jogakbo');
    this.#workspace = workspace;
    this.#environment = environment;
    // PostgreSQL runs as another user where we are root.
    chmodSync(folder, 0o755);
    mkdirSync(this.home, { recursive: true, mode: 0o711 });
  }

  async start(): Promise<void> {
    this.port = await freePort();
    const { code, output } = await this.#command([
      'start',
      '--detach',
      '--no-seed',
      '--port',
      String(this.port),
    ]);
    if (code !== 0) throw new Error(output);
  }

  /** @returns the last words of the command */
  async stop(): Promise<string> {
    return (await this.#command(['stop'])).output.trim().split('\n').at(-1) ?? '';
  }

  async rows(): Promise<Row[]> {
    const { output } = await this.#command(['ps', '--json']);
    return (JSON.parse(output) as { rows: Row[] }).rows;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The login of the one who has this role. */
  staff(role: string): { email: string; password: string } {
    const { email, password } = this.#kept<Staff[]>('staff.json').find(({ roles }) => roles.includes(role))!;
    return { email, password };
  }

  /** With the login that may see everything. */
  databaseUrl(service: string): string {
    const { database } = this.#kept<{ database: string }>('secrets.json');
    const at = `127.0.0.1:${this.getPort('postgres')}/${service}`;
    return withTls
      ? `postgresql://jogakbo@${at}?sslmode=verify-full&${this.#certificate('sslrootcert', 'sslcert', 'sslkey')}`
      : `postgresql://jogakbo:${database}@${at}`;
  }

  /** Of those who operate the broker. */
  readonly brokerLogin = 'jogakbo';

  get brokerUrl(): string {
    const at = `127.0.0.1:${this.getPort('amqp')}`;
    return withTls
      ? `amqps://${at}?auth_mechanism=external&${this.#certificate('cacertfile', 'certfile', 'keyfile')}`
      : `amqp://${this.brokerLogin}:${this.#brokerPassword}@${at}`;
  }

  /** The operator's files, under the names that an address has for them. */
  #certificate(authority: string, certificate: string, key: string): string {
    const of = (name: string) => join(this.home, 'tls', name);
    return new URLSearchParams({
      ...{ [authority]: of('authority.crt'), [certificate]: of('jogakbo.crt'), [key]: of('jogakbo.key') },
    }).toString();
  }

  /** Where a server of the store really listens. */
  getPort(server: 'amqp' | 'management' | 'postgres'): number {
    return this.#kept<Record<string, number>>('ports.json')[server]!;
  }

  /** One request to the broker's management API. @returns undefined where there is nothing to say */
  async manage<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`http://127.0.0.1:${this.getPort('management')}/api/${path}`, {
      method,
      headers: {
        authorization: `Basic ${Buffer.from(`jogakbo:${this.#brokerPassword}`).toString('base64')}`,
        'content-type': 'application/json',
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text();
    if (!response.ok && response.status !== 404)
      throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (response.ok && text ? JSON.parse(text) : undefined) as T;
  }

  get #brokerPassword(): string {
    return this.#kept<{ broker: string }>('secrets.json').broker;
  }

  #kept<T>(file: string): T {
    return JSON.parse(readFileSync(join(this.home, file), 'utf8')) as T;
  }

  #command(args: string[]): Promise<{ code: number | null; output: string }> {
    const { RABBITMQ_URL: _broker, DATABASE_URL: _database, ...env } = process.env;
    const child = spawn(process.execPath, [join(repository, 'tools', 'cli', 'src', 'main.ts'), ...args], {
      cwd: this.#workspace,
      // A Ctrl-C is for us: we then stop the store ourselves.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...env,
        ...settings,
        ...this.#environment,
        ...{
          JOGAKBO_WORKSPACE: this.#workspace,
          JOGAKBO_HOME: this.home,
          JOGAKBO_BROKER: 'local',
          NO_COLOR: '1',
        },
      },
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (output += text));
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => resolve({ code, output }));
    });
  }
}

/** Where nobody else looks for one: neither outgoing connections nor the brokers and databases of stores. */
function freePort(): Promise<number> {
  const port = randomInt(28_000, 32_000);
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(freePort()));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(port)));
  });
}
