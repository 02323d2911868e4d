import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findFreePort } from '@jogakbo/cli/src/supervisor/ports.ts';
import { type Row } from '@jogakbo/cli/src/commands/ps.ts';
import { readRun, type ServiceRecord } from '@jogakbo/cli/src/supervisor/run-record.ts';
import { openState } from '@jogakbo/cli/src/supervisor/state.ts';
import { compileCache, nodePath, root } from '@jogakbo/cli/src/workspace.ts';

export interface Outcome {
  code: number | null;
  output: string;
}

/** Runs the command with its own state folder, port, broker and database. */
export class Jogakbo {
  readonly folder = mkdtempSync(join(tmpdir(), 'jogakbo-e2e-'));
  readonly home = join(this.folder, '.jogakbo');
  port = 0;
  /** The workspace of the command. */
  protected readonly workspace: string = root;
  readonly #children = new Set<ChildProcess>();

  async make(): Promise<void> {
    // Used minutes later, so it is outside of the port ranges of brokers and databases.
    this.port = await findFreePort(28_000, 32_000);
    // If the tests run as root, PostgreSQL runs as another user.
    chmodSync(this.folder, 0o755);
  }

  spawn(args: string[], env: NodeJS.ProcessEnv = {}): { child: ChildProcess; output: () => string } {
    const { RABBITMQ_URL: _broker, DATABASE_URL: _database, ...rest } = process.env;
    const child = spawn(nodePath(), [join(root, 'tools/cli/src/main.ts'), ...args], {
      cwd: this.workspace,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...rest,
        JOGAKBO_WORKSPACE: this.workspace,
        JOGAKBO_HOME: this.home,
        PORT: String(this.port),
        JOGAKBO_BROKER: 'local',
        NO_COLOR: '1',
        NODE_COMPILE_CACHE: compileCache,
        ...env,
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

  async listRows(): Promise<Row[]> {
    const { output } = await this.run(['ps', '--json']);
    return (JSON.parse(output) as { rows: Row[] }).rows;
  }

  async findRow(service: string): Promise<Row | undefined> {
    return (await this.listRows()).find((row) => row.service === service);
  }

  /** Last record of the supervisor. Cheap enough for polling. */
  findRecord(service: string): ServiceRecord | undefined {
    return readRun(openState(this.home))?.services.find(({ name }) => name === service);
  }

  /** Ends all processes, also after a failed test. */
  async remove(): Promise<void> {
    await this.run(['stop']);
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

export async function until<T>(
  condition: () => T | Promise<T>,
  timeoutMs = 20_000,
): Promise<Exclude<T, false | null | undefined>> {
  for (const end = Date.now() + timeoutMs; ; await new Promise((resolve) => setTimeout(resolve, 100))) {
    const value = await condition();
    if (value) return value as Exclude<T, false | null | undefined>;
    if (Date.now() > end) throw new Error(`not true within ${timeoutMs} ms: ${condition}`);
  }
}
