import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runJogakbo } from '@jogakbo/cli/src/run-jogakbo.ts';
import { findFreePort } from '@jogakbo/cli/src/supervisor/ports.ts';
import { root } from '@jogakbo/cli/src/workspace.ts';

export const repository = root;

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
    // Outside of the port ranges of outgoing connections, and of the brokers and databases of stores.
    this.#port = await findFreePort(28_000, 32_000);
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

  /** @returns stdout @throws Error with the output of the command if it fails */
  async #runCommand(args: string[]): Promise<string> {
    const { code, stdout, output } = await runJogakbo(args, join(this.#folder, '.jogakbo'));
    if (code !== 0) throw new Error(`jogakbo ${args[0]} failed with code ${code}:\n${output}`);
    return stdout;
  }
}
