import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CliError } from '../terminal/cli-error.ts';
import { type ServiceDatabase } from '../backing/postgres/service-databases.ts';
import { prepareSharedProcess } from './shared-process.ts';
import { type LaunchCommand, prepareLaunch, type LaunchContext } from './service-launch.ts';
import { settingsErrorCode } from './service-process.ts';
import { createSettingsError } from './start-errors.ts';
import { readJson, writeJson } from './state.ts';
import { type App } from '../workspace.ts';

export function hashFolder(folder: string): string {
  const hash = createHash('sha256');
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    hash.update(path).update(readFileSync(path));
  }
  return hash.digest('hex').slice(0, 16);
}

/** @param names only these migrations; by default all */
export function migrate(
  { command, args, cwd, env }: LaunchCommand,
  abort?: AbortSignal,
  names: readonly string[] = [],
): Promise<{ code: number | null; lines: string[] }> {
  return new Promise((resolve) => {
    const child = spawn(command, [...args, 'migrate', ...names], {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(abort && { signal: abort }),
    });
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.on('error', (error) => resolve({ code: 127, lines: [error.message] }));
    child.on('close', (code) => resolve({ code, lines: output.trim().split('\n') }));
  });
}

/** A service with pending migrations. */
interface Pending {
  name: string;
  launch: LaunchCommand;
}

/** How the migrations of one service ended. */
interface Ended {
  name: string;
  code: number | null;
  lines: string[];
}

/**
 * Runs the migrations of several services in one process: each by itself would take seconds to load the same libraries.
 * Ends after the first failure.
 * @yields each service that ends, in their order
 * @throws AbortError
 */
export async function* migrateTogether(
  pending: readonly Pending[],
  host: LaunchCommand,
  report: (text: string) => void,
  abort: AbortSignal,
): AsyncGenerator<Ended> {
  // A service may end the process: the next ones then run in another.
  for (let ended: Ended[] = [], rest = pending; rest.length > 0; rest = rest.slice(ended.length)) {
    ended = await runHost(rest, host, report, abort);
    abort.throwIfAborted();
    yield* ended;
    if (ended.at(-1)!.code !== 0) return;
  }
}

/** @returns the services that ran in the process. All but the last succeeded. */
function runHost(
  pending: readonly Pending[],
  { command, args, cwd, env }: LaunchCommand,
  report: (text: string) => void,
  abort: AbortSignal,
): Promise<Ended[]> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'], signal: abort });
    const began: string[] = [];
    let output = '';
    child.stdout!.on('data', (data) => (output += data));
    child.stderr!.on('data', (data) => (output += data));
    child.on('message', ({ began: name }: { began: string }) =>
      // After the output that arrived together with this message.
      setImmediate(() => {
        began.push(name);
        output = '';
        report(`migrating ${name}`);
        if (child.connected) child.send({});
      }),
    );
    const end = (code: number | null, text: string) => {
      const names = began.length > 0 ? began : [pending[0]!.name];
      const last = names.length - 1;
      resolve(
        names.map((name, index) =>
          index < last ? { name, code: 0, lines: [] } : { name, code, lines: text.trim().split('\n') },
        ),
      );
    };
    child.on('error', (error) => end(127, error.message));
    child.on('close', (code) => end(code, output));
    child.send(
      pending.map(({ name, launch }) => ({
        name,
        cwd: launch.cwd,
        main: launch.args.at(-1)!,
        env: launch.env,
      })),
      () => undefined, // a process that does not start is reported above
    );
  });
}

/** Runs the pending migrations of each service. Skips services whose build and database are unchanged since the last run. */
export async function runMigrations(
  apps: readonly App[],
  databases: Record<string, ServiceDatabase>,
  context: LaunchContext,
  report: (text: string) => void,
  abort: AbortSignal,
): Promise<string> {
  const path = join(context.state.folder, 'migrations.json');
  const done = readJson<Record<string, string>>(path) ?? {};
  const keys = new Map(
    apps
      .filter((app) => app.hasDatabase)
      .map((app) => [app, `${databases[app.name]!.identity} ${hashFolder(join(app.folder, 'dist'))}`]),
  );
  const pending = [...keys]
    .filter(([{ name }, key]) => done[name] !== key)
    .map(([app, key]) => ({ name: app.name, key, launch: prepareLaunch(app, context) }));
  if (pending.length === 0) return 'nothing to migrate';
  const host = prepareSharedProcess('migration-host.mjs', [], context);
  for await (const { name, code, lines } of migrateTogether(pending, host, report, abort)) {
    assertMigrated(name, code, lines);
    done[name] = pending.find((one) => one.name === name)!.key;
    writeJson(path, done);
  }
  return `migrated ${pending.map(({ name }) => name).join(', ')}`;
}

/** @throws CliError */
function assertMigrated(name: string, code: number | null, lines: string[]): void {
  if (code === settingsErrorCode) throw createSettingsError([{ service: name, errorLines: lines }]);
  if (code === 0) return;
  throw new CliError(`The migrations of ${name} failed with exit code ${code}.`, {
    details: lines.slice(-20),
    remedies: [`fix apps/${name}/migrations; none of the pending migrations is applied`],
  });
}
