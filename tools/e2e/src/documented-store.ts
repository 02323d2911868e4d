import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { findFreePort } from '@jogakbo/cli/src/supervisor/ports.ts';
import { root } from '@jogakbo/cli/src/workspace.ts';
import { until } from './jogakbo.ts';
import { applyDiff, matchesOutput, parseSteps, type Step } from './page.ts';
import { CopiedStore } from './workspace-copy.ts';

/** The port that the pages name. */
const documentedPort = 'localhost:3000';
const stepTimeoutMs = 600_000;

/** A clone of this workspace in which the commands of pages run as a reader types them: in one shell per page. */
export class DocumentedStore extends CopiedStore {
  override readonly home = join(this.folder, 'workspace', '.jogakbo');
  readonly root = this.workspace;
  #registryPort = 0;

  override async make(): Promise<void> {
    await super.make();
    this.#registryPort = await findFreePort(28_000, 32_000);
    // npm records in these files what is installed. The copy changes them, and hard links would change the originals.
    for (const name of ['.package-lock.json', '.jogakbo-lock']) {
      const file = join(this.root, 'node_modules', name);
      if (!existsSync(file)) continue;
      copyFileSync(file, `${file}.copy`);
      rmSync(file);
      execFileSync('mv', [`${file}.copy`, file]);
    }
    const git = (...args: string[]) => execFileSync('git', args, { cwd: this.root });
    git('init', '--quiet', '--initial-branch=main');
    git('config', 'user.name', 'reader');
    git('config', 'user.email', 'reader@example.com');
    git('add', '--all');
    git('commit', '--quiet', '--message', 'Clone');
  }

  /**
   * Does what a page tells its reader to do. Programs in the background end with the page.
   * @param path of the page, relative to the workspace
   * @throws Error with the line of the first step that fails, or whose output differs from the page
   */
  async follow(path: string): Promise<void> {
    const shell = new Shell(this.root, this.#environment());
    try {
      for (const step of parseSteps(readFileSync(join(this.root, path), 'utf8'))) {
        try {
          await this.#do(step, shell);
        } catch (error) {
          throw new Error(`${path}:${step.line}: ${(error as Error).message}`, {
            cause: error,
          });
        }
      }
    } finally {
      await shell.close();
    }
  }

  async #do({ attributes, text, output }: Step, shell: Shell): Promise<void> {
    if (attributes['skip'] !== undefined) return;
    if (attributes['file']) {
      const file = join(shell.folder, attributes['file']);
      writeFileSync(file, applyDiff(readFileSync(file, 'utf8'), text));
      return;
    }
    const local = (one: string) => one.replaceAll(documentedPort, `localhost:${this.port}`);
    const { background, exit = '0' } = attributes;
    if (background !== undefined) return shell.runInBackground(local(text), local(background));
    const result = await shell.run(local(text));
    if (result.code !== Number(exit)) throw new Error(`exit code ${result.code}\n${text}\n${result.output}`);
    if (output !== undefined && !matchesOutput(local(output), result.output))
      throw new Error(`expected this output:\n${output}\nbut it was:\n${result.output}`);
  }

  #environment(): NodeJS.ProcessEnv {
    const { RABBITMQ_URL: _broker, DATABASE_URL: _database, TEST_FULL: _full, ...rest } = process.env;
    return {
      ...rest,
      // Without the folder that `npx` and npm scripts add themselves.
      PATH: [join(this.root, 'node_modules', '.bin'), process.env['PATH']].join(delimiter),
      PORT: String(this.port),
      REGISTRY_PORT: String(this.#registryPort),
      JOGAKBO_BROKER: 'local',
      NO_COLOR: '1',
      // What this workspace has built needs no second build.
      NX_CACHE_DIRECTORY: process.env['NX_CACHE_DIRECTORY'] ?? join(root, '.nx', 'cache'),
      NX_DAEMON: 'false',
      NX_TUI: 'false',
    };
  }
}

interface ShellResult {
  code: number | null;
  output: string;
}

/** A series of bash scripts that share variables, functions and the folder, like one session in a terminal. */
class Shell {
  readonly #root: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #state: string;
  readonly #background: ChildProcess[] = [];

  constructor(root: string, env: NodeJS.ProcessEnv) {
    this.#root = root;
    this.#env = env;
    this.#state = join(root, '..', `shell-${process.hrtime.bigint()}`);
  }

  /** The current folder. */
  get folder(): string {
    return existsSync(`${this.#state}.folder`)
      ? readFileSync(`${this.#state}.folder`, 'utf8').trim()
      : this.#root;
  }

  #spawn(text: string): { child: ChildProcess; output: () => string } {
    const child = spawn('bash', ['-c', text], {
      cwd: this.folder,
      env: this.#env,
      // Its own process group: all its processes can be ended.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout!.setEncoding('utf8').on('data', (data: string) => (output += data));
    child.stderr!.setEncoding('utf8').on('data', (data: string) => (output += data));
    return { child, output: () => output };
  }

  /** Stops at the first command that fails. */
  async run(text: string): Promise<ShellResult> {
    const { child, output } = this.#spawn(
      [
        `[ -f ${this.#state} ] && . ${this.#state} >/dev/null 2>&1`,
        'set -e',
        text,
        'set +e',
        `{ declare -p | grep -v '^declare -[a-z]*r'; declare -f; } > ${this.#state}`,
        `pwd > ${this.#state}.folder`,
      ].join('\n'),
    );
    const timer = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), stepTimeoutMs);
    try {
      // Not `close`: a store in the background keeps the pipe open.
      const code = await new Promise<number | null>((resolve) => child.on('exit', resolve));
      await new Promise((resolve) => setTimeout(resolve, 50));
      return { code, output: output() };
    } finally {
      clearTimeout(timer);
    }
  }

  async runInBackground(text: string, awaited: string): Promise<void> {
    const { child, output } = this.#spawn(`. ${this.#state} >/dev/null 2>&1\n${text}`);
    this.#background.push(child);
    await until(() => output().includes(awaited) || child.exitCode !== null, stepTimeoutMs);
    if (!output().includes(awaited)) throw new Error(`exit code ${child.exitCode}\n${text}\n${output()}`);
  }

  /** Ends the programs in the background, as Ctrl-C does. */
  async close(): Promise<void> {
    for (const child of this.#background) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise((resolve) => child.on('exit', resolve));
      process.kill(-child.pid!, 'SIGINT');
      await ended;
    }
  }
}
