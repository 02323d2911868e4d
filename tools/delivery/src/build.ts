// Bundles one app with the libraries of this workspace into dist/main.js, without third-party packages. Writes to
// dist/bus.json what the app does on the bus: the deploy step derives the permissions of its login from that. Writes to
// dist/contract.json its contract, and what it uses of other services: `jogakbo contracts check` compares that with the
// versions that are running. Writes to dist/settings.json its settings, for the documentation.
// Usage: node tools/delivery/src/build.ts apps/<name> [--watch]
// With --watch it rebuilds after each change, and prints `built …` as soon as main.js is written. `described …` follows if
// bus.json has changed.
import { execFile } from 'node:child_process';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { setPriority } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { build, context, type PartialMessage } from 'esbuild';
import { assertDeclaredRoles } from './declared-roles.ts';
import { formatLine } from './build-errors.ts';
import { getBundleOptions } from './bundle.ts';
import { watchFiles } from './watch-files.ts';

const [app, flag] = process.argv.slice(2);
if (!app || (flag && flag !== '--watch')) {
  console.error('usage: build.ts apps/<name> [--watch]');
  process.exit(2);
}
const main = path.join(app, 'dist/main.js');
const busFile = path.join(app, 'dist/bus.json');
const contractFile = path.join(app, 'dist/contract.json');
const settingsFile = path.join(app, 'dist/settings.json');

/**
 * Writes bus.json, contract.json and settings.json. A contradictory contract, such as a route without access or with an unknown role, fails
 * the build here.
 * @returns whether bus.json has changed @throws Error with the reason
 */
async function describeApp(): Promise<boolean> {
  const before = await readFile(busFile, 'utf8').catch(() => '');
  const asked = promisify(execFile)(process.execPath, [main, 'describe']);
  // The service that starts meanwhile has priority.
  if (flag === '--watch' && asked.child.pid) setPriority(asked.child.pid, 10);
  const { stdout } = await asked.catch((error: Error & { stderr?: string }) => {
    const missing = /Cannot find package '([^']+)'/.exec(error.stderr ?? '')?.[1];
    throw new Error(
      missing
        ? `${app}: the package ${missing} is not installed: npm install`
        : `${app}: main.js describe failed: ${error.message}`,
    );
  });
  const {
    bus,
    contract,
    settings = [],
  } = JSON.parse(stdout) as Record<'bus' | 'contract', object> & { settings?: object };
  await assertDeclaredRoles(app!, bus);
  await writeFile(contractFile, toFile(contract));
  await writeFile(settingsFile, toFile(settings));
  const text = toFile(bus);
  if (text !== before) await writeFile(busFile, text);
  return text !== before;
}

const toFile = (value: object): string => `${JSON.stringify(value, null, 2)}\n`;

const options = getBundleOptions(app);

/** Builds once; undefined if that failed. Writes one line per error to stderr. */
async function run(buildOnce: () => ReturnType<typeof build>): Promise<string[] | undefined> {
  try {
    const { metafile, warnings } = await buildOnce();
    await copyFile(path.join(import.meta.dirname, 'source-maps.mjs'), path.join(app!, 'dist/source-maps.js'));
    for (const warning of warnings) console.error(formatLine(warning));
    return Object.keys(metafile!.inputs);
  } catch (error) {
    const { errors = [] } = error as { errors?: PartialMessage[] };
    if (errors.length === 0) throw error;
    for (const one of errors) console.error(formatLine(one));
    return undefined;
  }
}

/** Prints an error in one line, without a stack. */
async function describeOrReport(): Promise<boolean | undefined> {
  try {
    return await describeApp();
  } catch (error) {
    console.error((error as Error).message);
    return undefined;
  }
}

const began = performance.now();
const reportBuilt = (since: number) =>
  console.log(`built ${app} in ${Math.round(performance.now() - since)} ms`);

if (flag !== '--watch') {
  if (!(await run(() => build(options))) || (await describeOrReport()) === undefined) process.exit(1);
  reportBuilt(began);
} else {
  // Ends with the process that started it.
  process.stdin.on('end', () => process.exit()).resume();
  const builder = await context(options);
  let isFirst = true;
  await watchFiles(path.join(app, 'src'), async () => {
    const since = performance.now();
    const inputs = await run(() => builder.rebuild());
    if (!inputs) return undefined;
    // The first build is reported only after bus.json is written.
    if (!isFirst) reportBuilt(since);
    const changed = await describeOrReport();
    if (changed !== undefined && isFirst) {
      isFirst = false;
      reportBuilt(since);
    } else if (changed) console.log(`described ${app}`);
    return inputs;
  });
}
