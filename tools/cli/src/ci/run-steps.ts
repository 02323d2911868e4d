import { spawn } from 'node:child_process';
import { appendFileSync, createWriteStream, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { finished } from 'node:stream/promises';
import { signalGroup } from '../supervisor/processes.ts';
import { onSignals } from '../terminal/signals.ts';
import { formatDuration, formatTable } from '../terminal/text-table.ts';
import { root } from '../workspace.ts';
import type { Step } from './pipelines.ts';

interface StepResult {
  step: Step;
  outcome: 'ok' | 'failed' | 'not run';
  milliseconds: number;
}

/**
 * Runs steps one after the other, up to the first that fails, then those that always run. Prints a table of all.
 * @returns the exit code of the failed step, 130 after an interruption, or 0
 */
export async function runSteps(steps: readonly Step[]): Promise<number> {
  const results: StepResult[] = [];
  let interrupted = false;
  let failure = 0;
  const release = onSignals(() => (interrupted = true));
  try {
    for (const step of steps) {
      if ((failure || interrupted) && !step.always) {
        results.push({ step, outcome: 'not run', milliseconds: 0 });
        continue;
      }
      const began = performance.now();
      const code = await runStep(step);
      if (!step.optional) failure ||= code;
      results.push({ step, outcome: code ? 'failed' : 'ok', milliseconds: performance.now() - began });
    }
  } finally {
    release();
  }
  const table = formatResults(results);
  console.log(['', ...formatTable(table)].join('\n'));
  writeSummary(table);
  return interrupted ? 130 : failure;
}

async function runStep(step: Step): Promise<number> {
  const isOnGitHub = process.env.GITHUB_ACTIONS === 'true';
  console.log(isOnGitHub ? `::group::${step.name}: ${step.title}` : `\n${step.name}: ${step.title}`);
  const code = await runCommand(step.command, step);
  if (isOnGitHub) console.log('::endgroup::');
  if (code === 0) return 0;
  console.error(`${step.name} failed with exit code ${code}: ${formatCommand(step.command)}`);
  for (const command of step.undo?.listCommands() ?? []) {
    console.error(formatCommand(command));
    await runCommand(command);
  }
  return code;
}

/** Runs a command in its own process group, so that an interruption ends all its processes. */
async function runCommand(
  [program, ...args]: readonly string[],
  { output, appends }: Pick<Step, 'output' | 'appends'> = {},
): Promise<number> {
  const child = spawn(program!, args, {
    cwd: root,
    detached: true,
    stdio: ['ignore', output ? 'pipe' : 'inherit', 'inherit'],
    env: { ...process.env, NX_DAEMON: 'false', NX_TUI: 'false' },
  });
  const release = onSignals((name) => signalGroup(child.pid!, name));
  const kept = output && child.stdout ? keepOutput(child.stdout, output, appends) : undefined;
  try {
    const code = await new Promise<number>((resolve) => {
      child.on('error', (error) => {
        console.error(`${program} cannot be started: ${error.message}`);
        resolve(127);
      });
      child.on('close', (exitCode) => resolve(exitCode ?? 1));
    });
    await kept;
    return code;
  } finally {
    release();
  }
}

/** Shows a stream, and writes it to a file. */
function keepOutput(stream: NodeJS.ReadableStream, output: string, appends = false): Promise<void> {
  const path = join(root, output);
  mkdirSync(dirname(path), { recursive: true });
  stream.pipe(process.stdout, { end: false });
  const file = createWriteStream(path, { flags: appends ? 'a' : 'w' });
  if (appends) file.write('\n');
  return finished(stream.pipe(file));
}

/** A command as people can repeat it, without the paths of this machine. */
export const formatCommand = (command: readonly string[]): string =>
  command
    .map((word) => (word.startsWith(root) ? word.slice(root.length + 1) : word))
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(' ')
    .replace(/^node_modules\/\.bin\/node tools\/cli\/src\/main\.ts/, 'npx jogakbo')
    .replaceAll('node_modules/.bin/nx', 'npx nx');

const formatResults = (results: readonly StepResult[]): string[][] => [
  ['STEP', 'RESULT', 'TIME'],
  ...results.map(({ step, outcome, milliseconds }) => [
    step.name,
    outcome,
    outcome === 'not run' ? '' : formatDuration(milliseconds),
  ]),
];

/** GitHub shows this table on the page of the run. */
function writeSummary([head, ...rows]: readonly string[][]): void {
  const file = process.env.GITHUB_STEP_SUMMARY;
  if (!file) return;
  const lines = [head!, head!.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  appendFileSync(file, `${lines.join('\n')}\n`);
}
