import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../src/ports.ts';
import { type Row } from '../src/ps.ts';
import { nodePath } from '../src/workspace.ts';

/** Keeps the contract between a service and whoever runs it, and does nothing else. */
const fakeService = `
import { createServer } from 'node:http';
import { basename, dirname } from 'node:path';
const service = basename(dirname(dirname(process.argv[1])));
const log = (msg) => console.log(JSON.stringify({ level: 30, time: Date.now(), service, msg }));
if (process.env.FAKE_WRONG === service) {
  console.error('PORT: must be a number (environment)\\nCOLOUR: is missing (environment)');
  process.exit(78);
}
if (process.argv[2] === 'migrate') process.exit(0);
if (process.env.FAKE_CRASH === service) {
  log('about to fall');
  throw new Error('fell over');
}
const server = createServer((request, response) => response.end(JSON.stringify(process.env)));
server.listen(Number(process.env.PORT), process.env.HOST, () => {
  log('listening');
  process.send({ type: 'ready', url: 'http://127.0.0.1:' + server.address().port });
});
process.on('SIGTERM', () => {
  log('draining');
  server.close(() => process.exit(0));
  server.closeAllConnections();
});
process.on('disconnect', () => process.exit(1));
`;

/** Stands in for the real one: says that it built, and again on each line of its input file. */
const fakeBuilder = `
console.log('built ' + process.argv[2] + ' in 1 ms');
process.on('SIGUSR2', () => console.log('built ' + process.argv[2] + ' in 1 ms'));
setInterval(() => undefined, 1000);
`;

export interface Outcome {
  code: number | null;
  output: string;
}

export class FakeWorkspace {
  readonly folder = mkdtempSync(join(tmpdir(), 'jogakbo-e2e-'));
  readonly home = join(this.folder, '.jogakbo');
  port = 0;
  readonly #children = new Set<ChildProcess>();

  async make(services: string[]): Promise<void> {
    this.port = await freePort();
    chmodSync(this.folder, 0o755);
    const bin = join(this.folder, 'node_modules', '.bin');
    mkdirSync(bin, { recursive: true });
    symlinkSync(nodePath(), join(bin, 'node'));
    writeFileSync(join(bin, 'nx'), '#!/bin/sh\necho "> nx run orders:build"\n', { mode: 0o755 });
    const builder = join(this.folder, 'tools', 'delivery', 'src');
    mkdirSync(builder, { recursive: true });
    writeFileSync(join(builder, 'build.ts'), fakeBuilder);
    for (const name of services) {
      const app = join(this.folder, 'apps', name);
      mkdirSync(join(app, 'dist'), { recursive: true });
      if (name !== 'gateway') mkdirSync(join(app, 'migrations'));
      writeFileSync(join(app, 'package.json'), JSON.stringify({ main: 'dist/main.js', type: 'module' }));
      writeFileSync(join(app, 'dist', 'main.js'), fakeService);
    }
  }

  spawn(args: string[], env: NodeJS.ProcessEnv = {}): { child: ChildProcess; output: () => string } {
    const { RABBITMQ_URL: _broker, DATABASE_URL: _database, ...rest } = process.env;
    const child = spawn(nodePath(), [join(import.meta.dirname, '..', 'src', 'main.ts'), ...args], {
      cwd: this.folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...{ ...rest, JOGAKBO_WORKSPACE: this.folder, JOGAKBO_HOME: this.home, PORT: String(this.port) },
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
