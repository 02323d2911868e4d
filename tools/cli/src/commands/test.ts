import { spawn } from 'node:child_process';
import { existsSync, globSync, mkdirSync, rmSync } from 'node:fs';
import { join, sep } from 'node:path';
import { UsageError } from '../terminal/cli-error.ts';
import { nearestName } from '@jogakbo/service/nearest-name';
import { NxOutput } from '../supervisor/nx-output.ts';
import { signalGroup } from '../supervisor/processes.ts';
import { onSignals } from '../terminal/signals.ts';
import { readJson } from '../supervisor/state.ts';
import {
  type JestResults,
  formatTotals,
  emptyTally,
  sumTallies,
  type Tally,
  tallyTask,
} from './test-results.ts';
import { formatDuration } from '../terminal/text-table.ts';
import { startThrowawayServices } from '../backing/throwaway-services.ts';
import { listProjects, nodePath, nxPath, root } from '../workspace.ts';

// nx.json makes every project write its jest results here, whatever JOGAKBO_HOME is; Nx restores them from its cache.
const results = join(root, '.jogakbo', 'test-results');
/** Projects with end-to-end tests on a running store. */
const endToEnd = globSync('tools/*/test/*.{e2e,full}.spec.ts', { cwd: root })
  .map((path) => path.split(sep)[1]!)
  .filter((name, index, all) => all.indexOf(name) === index);

/** Runs a program in its own process group, so that an interruption ends all its processes. */
function runGroup(
  command: string,
  args: string[],
  env: NodeJS.ProcessEnv,
  onOutput?: (text: string) => void,
): Promise<number> {
  return new Promise((resolve) => {
    const stdio = onOutput
      ? (['ignore', 'pipe', 'pipe'] as const)
      : (['ignore', 'inherit', 'inherit'] as const);
    const child = spawn(command, args, {
      cwd: root,
      detached: true,
      stdio: [...stdio],
      env: { ...process.env, ...env },
    });
    const release = onSignals(() => signalGroup(child.pid!, 'SIGTERM'));
    child.stdout?.setEncoding('utf8').on('data', (text: string) => onOutput?.(text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => onOutput?.(text));
    child.on('error', (error) => {
      console.error(`${command} cannot be started: ${error.message}`);
      resolve(127);
    });
    child.on('close', (code) => {
      release();
      resolve(code ?? 1);
    });
  });
}

async function checkProjects(projects: string[], env: NodeJS.ProcessEnv): Promise<Tally> {
  const tallies: Tally[] = [];
  const output = new NxOutput(({ id, cached, failed, output }) => {
    const tally = tallyTask(id, failed, readJson<JestResults>(join(results, `${id.replace(':', '-')}.json`)));
    tallies.push(tally);
    const count = /:(test|integration)$/.test(id)
      ? `  ${tally.passed} passed${tally.failed ? `, ${tally.failed} failed` : ''}`
      : '';
    console.log(`${failed ? 'FAIL' : 'ok  '}  ${id}${count}${cached ? '  (unchanged)' : ''}`);
    if (failed) console.log(output.map((line) => `      ${line}`).join('\n'));
  });
  // One compiler and one linter for all projects take a quarter of the time of one for each.
  const checks = projects.length ? ['typecheck', 'lint'] : ['typecheck-all', 'lint-all'];
  const args = ['run-many', '-t', ...checks, 'test', 'integration', '--parallel=2', '--output-style=static'];
  if (projects.length) args.push('-p', projects.join(','));
  const code = await runGroup(
    nxPath(),
    args,
    { ...env, NX_DAEMON: 'false', NX_TUI: 'false', FORCE_COLOR: '0', NO_COLOR: '1' },
    (text) => output.take(text),
  );
  output.end();
  const total = sumTallies(tallies);
  if (code === 0 || total.failed) return total;
  console.log(output.remarks.filter((line) => line.trim()).join('\n'));
  return sumTallies([total, { passed: 0, failed: 1, skipped: 0, failures: [`nx exited with code ${code}`] }]);
}

/** Suites that load the machine or measure time. No other suite runs at the same time. */
const serialSuites = '(chaos\\.e2e|(artefacts|deploy|documentation|outages|tutorial)\\.full)';

async function runEndToEnd(projects: string[], env: NodeJS.ProcessEnv): Promise<Tally> {
  console.log(`\nEnd to end, on real processes: ${projects.join(', ')}`);
  // Built once in advance: otherwise every suite would build all services for its store.
  const build = ['run-many', '-t', 'build', '--parallel=2', '--output-style=static'];
  const nxEnv = { ...env, NX_DAEMON: 'false', NX_TUI: 'false' };
  let output = '';
  if (await runGroup(nxPath(), build, nxEnv, (text) => (output += text))) {
    console.log(output);
    return { ...emptyTally(), failed: 1, failures: ['the build of all services'] };
  }
  return sumTallies([
    await runSuites('e2e-side-by-side', projects, ['--testPathIgnorePatterns', serialSuites], env),
    await runSuites('e2e-alone', projects, ['--testPathPatterns', serialSuites, '--runInBand'], env),
  ]);
}

async function runSuites(
  name: string,
  projects: string[],
  options: string[],
  env: NodeJS.ProcessEnv,
): Promise<Tally> {
  const file = join(results, `${name}.json`);
  const code = await runGroup(
    nodePath(),
    [
      '--experimental-vm-modules',
      '--disable-warning=ExperimentalWarning',
      'node_modules/jest/bin/jest.js',
      '--config',
      'jest.e2e.config.mjs',
      ...projects.flatMap((project) => ['--roots', join('tools', project)]),
      '--passWithNoTests',
      ...options,
      '--json',
      '--outputFile',
      file,
    ],
    env,
  );
  return tallyTask('e2e', code !== 0, readJson<JestResults>(file));
}

/** @throws UsageError with the most similar project name */
export function assertProjectsExist(projects: string[]): void {
  const known = listProjects().map(({ name }) => name);
  for (const project of projects.filter((one) => !known.includes(one))) {
    const meant = nearestName(project, known);
    throw new UsageError(`There is no project called ${project}.`, {
      remedies: [meant ? `did you mean ${meant}?` : `one of ${known.sort().join(', ')}`],
    });
  }
}

/** Runs all checks. The last line of its output has the total number of tests. */
export async function test(projects: string[], { full = false }: { full?: boolean } = {}): Promise<number> {
  if (!existsSync(nxPath()))
    throw new UsageError('The workspace is not installed.', { remedies: ['npm ci'] });
  assertProjectsExist(projects);
  const began = Date.now();
  let interrupted = false;
  const release = onSignals(() => (interrupted = true));
  rmSync(results, { recursive: true, force: true });
  mkdirSync(results, { recursive: true });
  console.log('A throw-away RabbitMQ and PostgreSQL for the tests:');
  const services = await startThrowawayServices((text) => console.log(`  ${text}`));
  const env = { ...services.env, ...(full && { TEST_FULL: '1' }) };
  const tallies: Tally[] = [];
  try {
    if (!interrupted) {
      console.log('\nTypes, lint, unit and integration tests of each project:');
      tallies.push(await checkProjects(projects, env));
    }
    const chosen = endToEnd.filter((project) => projects.length === 0 || projects.includes(project));
    if (!interrupted && chosen.length) tallies.push(await runEndToEnd(chosen, env));
  } finally {
    await services.stop();
    release();
  }
  const total = sumTallies(tallies);
  if (total.failures.length)
    console.log(['', 'Failed:', ...total.failures.map((name) => `  ${name}`)].join('\n'));
  console.log(`\n${interrupted ? 'Interrupted after' : 'Took'} ${formatDuration(Date.now() - began)}.`);
  console.log(formatTotals(total));
  return interrupted ? 130 : total.failed || total.passed === 0 ? 1 : 0;
}
