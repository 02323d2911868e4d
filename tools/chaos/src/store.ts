import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CommandResult, runJogakbo } from '@jogakbo/cli/src/run-jogakbo.ts';
import { findFreePort } from '@jogakbo/cli/src/supervisor/ports.ts';
import { root } from '@jogakbo/cli/src/workspace.ts';
import { writeBasicCredentials } from '@jogakbo/service/basic-credentials';

const isTlsOn = ['1', 'true'].includes(process.env.JOGAKBO_TLS ?? '');

export const repository = root;

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

/** A store started for the run. Chaos uses its command line and the files in its state folder. */
export class Store {
  readonly home: string;
  readonly #workspace: string;
  readonly #environment: NodeJS.ProcessEnv;
  port = 0;

  /**
   * @param workspace the workspace with the services to run
   * @param environment additional environment variables of the services
   */
  constructor(folder: string, workspace = repository, environment: NodeJS.ProcessEnv = {}) {
    this.home = join(folder, '.jogakbo');
    this.#workspace = workspace;
    this.#environment = environment;
    // If chaos runs as root, PostgreSQL runs as another user.
    chmodSync(folder, 0o755);
    mkdirSync(this.home, { recursive: true, mode: 0o711 });
  }

  async start(): Promise<void> {
    // Outside of the port ranges of outgoing connections, and of the brokers and databases of stores.
    this.port = await findFreePort(28_000, 32_000);
    const { code, output } = await this.#runCommand([
      'start',
      '--detach',
      '--no-seed',
      '--port',
      String(this.port),
    ]);
    if (code !== 0) throw new Error(output);
  }

  /** @returns the last line of the output */
  async stop(): Promise<string> {
    return (await this.#runCommand(['stop'])).output.trim().split('\n').at(-1) ?? '';
  }

  async listRows(): Promise<Row[]> {
    const { stdout } = await this.#runCommand(['ps', '--json']);
    return (JSON.parse(stdout) as { rows: Row[] }).rows;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The login of the staff member with this role. */
  getLogin(role: string): { email: string; password: string } {
    const { email, password } = this.#readStateFile<Staff[]>('staff.json').find(({ roles }) =>
      roles.includes(role),
    )!;
    return { email, password };
  }

  /** Uses the login of the operator. */
  getDatabaseUrl(service: string): string {
    const { databaseAdministrator } = this.#readStateFile<{ databaseAdministrator: string }>('secrets.json');
    const at = `127.0.0.1:${this.getPort('postgres')}/${service}`;
    return isTlsOn
      ? `postgresql://jogakbo@${at}?sslmode=verify-full&${this.#toCertificateQuery('sslrootcert', 'sslcert', 'sslkey')}`
      : `postgresql://jogakbo:${databaseAdministrator}@${at}`;
  }

  /** Login of the operator at the broker. */
  readonly brokerLogin = 'jogakbo';

  get brokerUrl(): string {
    const at = `127.0.0.1:${this.getPort('amqp')}`;
    return isTlsOn
      ? `amqps://${at}?auth_mechanism=external&${this.#toCertificateQuery('cacertfile', 'certfile', 'keyfile')}`
      : `amqp://${this.brokerLogin}:${this.#brokerPassword}@${at}`;
  }

  /** @returns the certificate files of the operator as URL parameters with the given names */
  #toCertificateQuery(authority: string, certificate: string, key: string): string {
    const toPath = (name: string) => join(this.home, 'tls', name);
    return new URLSearchParams({
      [authority]: toPath('authority.crt'),
      [certificate]: toPath('jogakbo.crt'),
      [key]: toPath('jogakbo.key'),
    }).toString();
  }

  /** The real port of a server, without the links of chaos. */
  getPort(server: 'amqp' | 'management' | 'postgres'): number {
    return this.#readStateFile<Record<string, number>>('ports.json')[server]!;
  }

  /** @returns the response body; undefined if it is empty or the status is 404 */
  async callManagementApi<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`http://127.0.0.1:${this.getPort('management')}/api/${path}`, {
      method,
      headers: {
        authorization: writeBasicCredentials('jogakbo', this.#brokerPassword),
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
    return this.#readStateFile<{ brokerAdministrator: string }>('secrets.json').brokerAdministrator;
  }

  #readStateFile<T>(file: string): T {
    return JSON.parse(readFileSync(join(this.home, file), 'utf8')) as T;
  }

  #runCommand(args: string[]): Promise<CommandResult> {
    const environment = { LOG_LEVEL: 'warn', ...this.#environment };
    return runJogakbo(args, this.home, environment, this.#workspace);
  }
}
