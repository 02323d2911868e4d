import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../src/supervisor/ports.ts';
import { type Row } from '../src/commands/ps.ts';
import { readRun, type ServiceRecord } from '../src/supervisor/run-record.ts';
import { openState } from '../src/supervisor/state.ts';
import { nodePath, root } from '../src/workspace.ts';

export interface Outcome {
  code: number | null;
  output: string;
}

/** The command, run as a user runs it, with a state folder, a port, a broker and a database of its own. */
export class Jogakbo {
  readonly folder = mkdtempSync(join(tmpdir(), 'jogakbo-e2e-'));
  readonly home = join(this.folder, '.jogakbo');
  port = 0;
  /** The workspace that it works on. */
  protected readonly workspace: string = root;
  readonly #children = new Set<ChildProcess>();

  async make(): Promise<void> {
    // Taken minutes before somebody listens on it: out of the way of brokers and databases.
    this.port = await freePort(28_000, 32_000);
    // PostgreSQL runs as another user where we are root.
    chmodSync(this.folder, 0o755);
  }

  spawn(args: string[], env: NodeJS.ProcessEnv = {}): { child: ChildProcess; output: () => string } {
    const { RABBITMQ_URL: _broker, DATABASE_URL: _database, ...rest } = process.env;
    const child = spawn(nodePath(), [join(import.meta.dirname, '..', 'src', 'main.ts'), ...args], {
      cwd: this.workspace,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...{ ...rest, JOGAKBO_WORKSPACE: this.workspace, JOGAKBO_HOME: this.home, PORT: String(this.port) },
        ...{ JOGAKBO_BROKER: 'local', NO_COLOR: '1', ...env },
      },
    });
    let output = '';
    child.stdout!.setEncoding('utf8').on('data', (text) => (output += text));
    child.stderr!.setEncoding('utf8').on('data', (text) => (output += text));
    this.#children.add(child);
    child.on('exit', () => this.#children.delete(child));
    return { child, output: () => output };
  }

  run(args: string[], env?: NodeJS.ProcessEnv): Promise<Outcome> {
    const { child, output } = this.spawn(args, env);
    return new Promise((resolve) => child.on('close', (code) => resolve({ code, output: output() })));
  }

  async rows(): Promise<Row[]> {
    const { output } = await this.run(['ps', '--json']);
    return (JSON.parse(output) as { rows: Row[] }).rows;
  }

  async row(service: string): Promise<Row | undefined> {
    return (await this.rows()).find((row) => row.service === service);
  }

  /** What the supervisor last wrote down: cheap enough to be looked at again and again. */
  findRecord(service: string): ServiceRecord | undefined {
    return readRun(openState(this.home))?.services.find(({ name }) => name === service);
  }

  /** Ends all, whatever a failed test left. */
  async remove(): Promise<void> {
    await this.run(['stop']);
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

export async function until<T>(
  what: () => T | Promise<T>,
  patience = 20_000,
): Promise<Exclude<T, false | null | undefined>> {
  for (const end = Date.now() + patience; ; await new Promise((resolve) => setTimeout(resolve, 100))) {
    const value = await what();
    if (value) return value as Exclude<T, false | null | undefined>;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
  }
}
