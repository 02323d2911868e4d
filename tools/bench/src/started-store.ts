import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export const repository = resolve(import.meta.dirname, '..', '..', '..');

/** The fields of a row of `jogakbo ps --json` that the benchmarks read. */
export interface ProcessRow {
  service: string;
  pid?: number;
  /** Bytes, of the process and its descendants: the proportional set size on Linux. */
  memory: number;
}

/** A store with its own state folder, broker, database and free ports. It is used through its command line. */
export class StartedStore {
  readonly #folder = mkdtempSync(join(tmpdir(), 'jogakbo-bench-'));
  #port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Starts and seeds the store. @returns milliseconds until it is ready. Throws with the output of the command. */
  async start(): Promise<number> {
    // If the benchmark runs as root, PostgreSQL runs as another user.
    chmodSync(this.#folder, 0o755);
    this.#port = await findFreePort();
    const startedAt = performance.now();
    await this.#runCommand(['start', '--detach', '--port', String(this.#port)]);
    return performance.now() - startedAt;
  }

  async listRows(): Promise<ProcessRow[]> {
    return (JSON.parse(await this.#runCommand(['ps', '--json'])) as { rows: ProcessRow[] }).rows;
  }

  /** Ends all processes of the store and deletes its folder. */
  async remove(): Promise<void> {
    await this.#runCommand(['stop']).catch((error: unknown) => console.error(error));
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  #runCommand(args: string[]): Promise<string> {
    const { RABBITMQ_URL: _broker, DATABASE_URL: _database, ...env } = process.env;
    const child = spawn(process.execPath, [join(repository, 'tools', 'cli', 'jogakbo.mjs'), ...args], {
      cwd: repository,
      // Keeps Ctrl-C away from the command: the benchmark stops the store itself.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...env,
        JOGAKBO_HOME: join(this.#folder, '.jogakbo'),
        JOGAKBO_BROKER: 'local',
        NO_COLOR: '1',
      },
    });
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (errors += text));
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) =>
        code === 0
          ? resolve(output)
          : reject(new Error(`jogakbo ${args[0]} failed with code ${code}:\n${output}${errors}`)),
      );
    });
  }
}

/** Outside of the port ranges of outgoing connections, and of the brokers and databases of stores. */
function findFreePort(): Promise<number> {
  const port = randomInt(28_000, 32_000);
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(findFreePort()));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(port)));
  });
}
