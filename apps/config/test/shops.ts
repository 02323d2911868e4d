import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { service, type AnyRequest } from '@jogakbo/contract';
import { childTraceparent, RabbitClient, toSplitKey } from '@jogakbo/messaging';
import { Service, start as startModule, type RunningService } from '@jogakbo/service';
import { createPrivateDatabase, type Private, type ServiceUnderTest } from '@jogakbo/testing';
import pg from 'pg';
import { startServer } from './server.ts';

const passwords = { shop: 'the-password-of-shop', mall: 'the-password-of-mall' };
const root = join(import.meta.dirname, '../../..');
const main = join(import.meta.dirname, 'shop/dist/main.js');

@Service({ contract: service('mall') })
class MallModule {}

/** Shared by all instances. */
const serviceKey = randomBytes(32).toString('base64url');

/** A config server, a mall that calls the shop for members, and versions of the shop in separate processes. */
export class Shops {
  #database: Private;
  #pool: pg.Pool;
  #mall: RunningService;
  readonly #running = new Set<ChildProcess>();
  server: ServiceUnderTest;

  async open(): Promise<void> {
    const built = spawnSync(process.execPath, ['tools/delivery/src/build.ts', 'apps/config/test/shop'], {
      cwd: root,
      encoding: 'utf8',
    });
    if (built.status !== 0) throw new Error(built.stderr);
    this.server = await startServer({ CONFIG_CLIENTS: JSON.stringify(passwords) });
    this.#database = await createPrivateDatabase();
    this.#pool = new pg.Pool({ connectionString: this.#database.url, max: 2 });
    const [code] = (await once(this.#spawn('1', 'migrate'), 'exit')) as [number];
    if (code !== 0) throw new Error('the migrations failed');
    this.#mall = await startModule(MallModule, {
      environment: { ...this.#environment, CONFIG_PASSWORD: passwords.mall },
    });
  }

  get #environment() {
    return { RABBITMQ_URL: this.server.broker.url, LOG_LEVEL: 'error' };
  }

  #spawn(version: string, ...args: string[]): ChildProcess {
    const child = spawn(process.execPath, [main, ...args], {
      env: {
        PATH: process.env['PATH'],
        SERVICE_VERSION: version,
        ...this.#environment,
        DATABASE_URL: this.#database.url,
        CONFIG_PASSWORD: passwords.shop,
        RETRY_DELAYS: '50,100,200',
        ANNOUNCE_EVERY: '0.5',
        SERVICE_KEY: serviceKey,
        LOCAL_MODE: 'true',
      },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#running.add(child);
    child.once('exit', () => this.#running.delete(child));
    return child;
  }

  /** Starts an instance and waits until it is ready. */
  async start(version: string): Promise<ChildProcess> {
    const child = this.#spawn(version);
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`the shop ended with ${code}`);
    });
    await Promise.race([once(child, 'message'), ended]);
    ended.catch(() => {}); // The process may end later.
    return child;
  }

  async kill(child: ChildProcess): Promise<void> {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }

  /** Sends a request from the mall for a member, and returns the reply. */
  async request(
    contract: Pick<AnyRequest, 'name' | 'kind'>,
    input: unknown,
    memberId?: string,
  ): Promise<{ version: string }> {
    const answer = await this.#mall.app.get(RabbitClient).request(contract.name, input, {
      kind: contract.kind,
      context: {
        traceparent: childTraceparent(),
        language: 'nl',
        ...(memberId && { caller: { memberId, roles: ['member'] }, splitKey: toSplitKey(memberId) }),
      },
    });
    return answer as { version: string };
  }

  /** Reads the sales whose id has this prefix. */
  async readSales(prefix: string): Promise<{ id: string; version: string }[]> {
    const { rows } = await this.#pool.query<{ id: string; version: string }>(
      'SELECT id, version FROM sold WHERE id LIKE $1 ORDER BY id',
      [`${prefix}%`],
    );
    return rows;
  }

  /** Reads the lines of one metric of the mall. */
  async readMetric(name: string): Promise<string[]> {
    const text = await (await fetch(`${this.#mall.url}/metrics`)).text();
    return text.split('\n').filter((line) => line.startsWith(`${name}{`));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running].map((child) => this.kill(child)));
    await this.#mall?.stop();
    await this.#pool?.end();
    await this.#database?.drop();
    await this.server?.stop();
  }
}
