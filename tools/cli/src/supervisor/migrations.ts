import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CliError } from '../terminal/cli-error.ts';
import { type ServiceDatabase } from '../backing/postgres/service-databases.ts';
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
  const pending = apps
    .filter((app) => app.hasDatabase)
    .map((app) => ({
      app,
      key: `${databases[app.name]!.identity} ${hashFolder(join(app.folder, 'dist'))}`,
    }))
    .filter(({ app, key }) => done[app.name] !== key);
  const queue = [...pending];
  const worker = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const { app, key } = next;
      report(`migrating ${app.name}`);
      const { code, lines } = await migrate(prepareLaunch(app, context), abort);
      abort.throwIfAborted();
      if (code === settingsErrorCode) throw createSettingsError([{ service: app.name, errorLines: lines }]);
      if (code !== 0) {
        throw new CliError(`The migrations of ${app.name} failed with exit code ${code}.`, {
          details: lines.slice(-20),
          remedies: [`fix apps/${app.name}/migrations; none of the pending migrations is applied`],
        });
      }
      done[app.name] = key;
      writeJson(path, done);
    }
  };
  await Promise.all([worker(), worker()]);
  return pending.length ? `migrated ${pending.map(({ app }) => app.name).join(', ')}` : 'nothing to migrate';
}
