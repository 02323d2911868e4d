import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve as resolvePath } from 'node:path';
import { CliError } from '../terminal/cli-error.ts';
import { type ServiceDatabase } from '../backing/postgres/service-databases.ts';
import { prepareDenseHost } from './dense-mode.ts';
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

interface FailedMigrations {
  name: string;
  code: number;
  lines: string[];
}

/**
 * Runs all migrations of several services in one process: each by itself would take seconds to load the same libraries.
 * @returns the services whose migrations failed
 * @throws CliError if the process ends before it answers
 */
export function migrateTogether(
  launches: ReadonlyMap<string, LaunchCommand>,
  { command, args, cwd, env }: LaunchCommand,
  abort: AbortSignal,
): Promise<FailedMigrations[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'], signal: abort });
    let output = '';
    child.stdout!.on('data', (data) => (output += data));
    child.stderr!.on('data', (data) => (output += data));
    child.on('message', ({ failed }: { failed: FailedMigrations[] }) => resolve(failed));
    child.on('error', reject);
    child.on('close', (code, signal) =>
      reject(
        new CliError(`The process of the migrations ended (${signal ?? `code ${code}`}).`, {
          details: output.trim().split('\n').slice(-20),
        }),
      ),
    );
    const services = [...launches].map(([name, launch]) => ({
      name,
      main: resolvePath(launch.cwd, launch.args.at(-1)!),
      env: launch.env,
    }));
    child.send({ type: 'migrate-all', services });
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
  const pending = new Map(
    apps
      .filter((app) => app.hasDatabase)
      .map(
        (app) => [app, `${databases[app.name]!.identity} ${hashFolder(join(app.folder, 'dist'))}`] as const,
      )
      .filter(([app, key]) => done[app.name] !== key),
  );
  if (pending.size === 0) return 'nothing to migrate';
  const names = [...pending.keys()].map(({ name }) => name);
  report(`migrating ${names.join(', ')}`);
  const launches = new Map([...pending.keys()].map((app) => [app.name, prepareLaunch(app, context)]));
  const failed = await migrateTogether(launches, prepareDenseHost(context), abort).catch((error: unknown) => {
    abort.throwIfAborted();
    throw error;
  });
  for (const [{ name }, key] of pending) if (!failed.some((one) => one.name === name)) done[name] = key;
  writeJson(path, done);
  refuseFailed(failed);
  return `migrated ${names.join(', ')}`;
}

/** @throws CliError about the wrong settings of all services, or about the first one whose migrations failed */
function refuseFailed(failed: readonly FailedMigrations[]): void {
  const wrong = failed.filter(({ code }) => code === settingsErrorCode);
  if (wrong.length > 0)
    throw createSettingsError(wrong.map(({ name, lines }) => ({ service: name, errorLines: lines })));
  const [first] = failed;
  if (!first) return;
  throw new CliError(`The migrations of ${first.name} failed.`, {
    details: first.lines.slice(-20),
    remedies: [`fix apps/${first.name}/migrations; none of the pending migrations is applied`],
  });
}
