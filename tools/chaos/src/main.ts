// npm run chaos -- [--seconds 600] [--seed N] [--faults kill,stop,...] [--mutants]
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type ChaosModule, importChaosModule } from './chaos-module.ts';
import { collectEvidence } from './check.ts';
import { faults } from './faults.ts';
import { buildServices, makeMutantWorkspace } from './mutant-workspace.ts';
import { listMutants } from './mutants.ts';
import { type Mutant } from './mutant.ts';
import { crashPoints } from './control-channel.ts';
import { formatCounts, toExitCode, type Plan, type Result, run, formatTarget } from './run.ts';
import { type FaultName, faultNames } from './schedule.ts';

const formatHelp = (mutants: Record<string, Mutant>): string => `usage: npm run chaos -- [options]

Starts a store, runs a workload of clients, injects faults, and then checks in the databases and the broker that
nothing was lost and nothing was applied twice. Exits with 1 on a violation, and if no fault took effect.

  --seconds N      how long to run the workload and inject faults (default: 600)
  --seed N         seed of the fault schedule (default: random, printed)
  --faults a,b     inject only these faults (default: all)
  --clients N      number of clients at the same time (default: 16)
  --mutant NAME    run a store with this defect: the run must find it and exit with 1
  --mutants        run every mutant, up to three times each: exits with 1 if one is not found

faults:
${Object.entries(faults)
  .map(([name, { description }]) => `  ${name.padEnd(15)}${description}`)
  .join('\n')}

mutants:
${Object.entries(mutants)
  .map(([name, { description }]) => `  ${name.padEnd(22)} ${description}`)
  .join('\n')}`;

const settleTimeoutMs = 60_000;
/** Short, because a broken store never settles. */
const mutantSettleTimeoutMs = 25_000;

class UsageError extends Error {}

interface Options extends Plan {
  mutant?: string | undefined;
  /** Run every mutant. */
  mutants: boolean;
}

function parseOptions(args: string[], mutants: Record<string, Mutant>): Options | undefined {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: 'string' },
      seed: { type: 'string' },
      faults: { type: 'string' },
      mutant: { type: 'string' },
      mutants: { type: 'boolean', default: false },
      clients: { type: 'string', default: '16' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return undefined;
  const parseNumber = (name: 'seconds' | 'seed' | 'clients', text: string) => {
    if (!/^\d{1,9}$/.test(text)) throw new UsageError(`--${name}: "${text}" is not a number`);
    return Number(text);
  };
  const { mutant: name } = values;
  const mutant = name !== undefined && Object.hasOwn(mutants, name) ? mutants[name] : undefined;
  if (name !== undefined && !mutant)
    throw new UsageError(`--mutant: unknown mutant "${name}"; use one of ${Object.keys(mutants).join(', ')}`);
  if (values.mutants && (name ?? values.faults ?? values.seconds) !== undefined)
    throw new UsageError(
      '--mutants cannot be combined with --mutant, --faults or --seconds: each mutant has its own faults and seconds',
    );
  const names = values.faults?.split(',').filter(Boolean) ?? mutant?.faults ?? faultNames;
  const unknown = names.find((name) => !faultNames.includes(name as FaultName));
  if (unknown)
    throw new UsageError(`--faults: unknown fault "${unknown}"; use one of ${faultNames.join(', ')}`);
  return {
    mutant: name,
    mutants: values.mutants,
    settleTimeoutMs: mutant ? mutantSettleTimeoutMs : settleTimeoutMs,
    seconds: parseNumber('seconds', values.seconds ?? String(mutant?.seconds ?? 600)),
    seed: values.seed === undefined ? randomInt(1_000_000) : parseNumber('seed', values.seed),
    clients: parseNumber('clients', values.clients),
    faults: names as FaultName[],
  };
}

/** Counts the occurrences of each name. @param names listed even if their count is 0 */
function formatTally(all: readonly string[], names: readonly string[] = []): string {
  const counts = new Map(names.map((name) => [name, 0]));
  for (const one of all) counts.set(one, (counts.get(one) ?? 0) + 1);
  return [...counts].map(([name, count]) => `${name} ${count}`).join(', ');
}

function formatReport(
  module: ChaosModule,
  { violations, injected, requests, facts, settledSeconds, evidenceFolder }: Result,
  replayCommand: string,
): string[] {
  const byRule = [...Map.groupBy(violations, ({ rule }) => rule)];
  const shown = byRule.flatMap(([, all]) => all.slice(0, 5));
  const inDetail = [...new Set(shown.flatMap(({ subject }) => subject ?? []))].slice(0, 5);
  const points = injected.flatMap(({ points }) => points ?? []);
  const began = injected[0] ? injected[0].from - injected[0].at * 1_000 : 0;
  return [
    '',
    'timeline:',
    ...injected.map((one) => {
      const from = ((one.from - began) / 1_000).toFixed(1).padStart(6);
      const until = ((one.until - began) / 1_000).toFixed(1).padStart(6);
      return `${from} – ${until} s  ${one.fault.padEnd(12)}${formatTarget(one).padEnd(14)}${one.detail}`;
    }),
    '',
    ...(points.length > 0 ? [`crashes by point: ${formatTally(points, crashPoints)}`] : []),
    ...module.summarize(requests, facts),
    `${injected.filter(({ hit }) => hit).length} of ${injected.length} faults took effect; ${formatCounts(module, requests)}; settled ${settledSeconds.toFixed(0)} s after the last fault`,
    ...inDetail.flatMap((subject) => [
      '',
      `evidence about ${subject}:`,
      ...collectEvidence(module, subject, requests, facts).map((one) => `  ${JSON.stringify(one)}`),
    ]),
    '',
    ...shown.map(
      ({ rule, subject, detail }) => `VIOLATION  ${rule}${subject ? `  [${subject}]` : ''}: ${detail}`,
    ),
    ...byRule.map(([rule, all]) => `${String(all.length).padStart(6)}  ${rule}`),
    `${violations.length} violations`,
    ...(evidenceFolder ? [`evidence: ${evidenceFolder}`] : []),
    `replay: ${replayCommand}`,
  ];
}

/** @returns undefined if aborted */
async function runMutant(
  module: ChaosModule,
  mutant: Mutant,
  plan: Plan,
  abortSignal: AbortSignal,
): Promise<Result | undefined> {
  const workspace = mkdtempSync(join(tmpdir(), 'jogakbo-mutant-'));
  try {
    makeMutantWorkspace(workspace, mutant);
    return await run({ ...plan, workspace }, module, console.log, abortSignal);
  } finally {
    rmSync(workspace, { recursive: true, force: true });
  }
}

/** @returns whether every mutant was found within three tries */
async function runAllMutants(
  module: ChaosModule,
  { seed, clients }: Plan,
  abortSignal: AbortSignal,
): Promise<boolean> {
  const rows: string[] = [];
  let found = 0;
  for (const [name, mutant] of Object.entries(listMutants(module))) {
    const { faults, seconds } = mutant;
    let rules: string[] = [];
    let tries = 0;
    while (tries < 3 && rules.length === 0 && !abortSignal.aborted) {
      console.log(`\n${name}, try ${tries + 1}: ${mutant.description}`);
      const plan = { seed: seed + tries, seconds, faults, clients, settleTimeoutMs: mutantSettleTimeoutMs };
      const result = await runMutant(module, mutant, plan, abortSignal);
      rules = [...new Set(result?.violations.map(({ rule }) => rule))];
      tries += 1;
    }
    if (rules.length > 0) found += 1;
    rows.push(
      `${name.padEnd(22)} ${rules.length > 0 ? 'found' : 'NOT FOUND'} at try ${tries}  ${rules.join('; ')}`,
    );
  }
  console.log(['', ...rows, `${found} of ${rows.length} mutants found`].join('\n'));
  return found === rows.length && !abortSignal.aborted;
}

async function main(args: string[]): Promise<number> {
  const module = await importChaosModule();
  const mutants = listMutants(module);
  const options = parseOptions(args, mutants);
  if (!options) {
    console.log(formatHelp(mutants));
    return 0;
  }
  if (!module)
    throw new UsageError('jogakbo.config.ts names no module "chaos": a workload and its rules are needed');
  const { seed, seconds, clients, mutant: name } = options;
  const abortController = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => {
      if (!abortController.signal.aborted) console.log('stopping the run');
      abortController.abort();
    });
  if (options.mutants || name) buildServices();
  if (options.mutants) return (await runAllMutants(module, options, abortController.signal)) ? 0 : 1;

  const replayCommand = [
    `npm run chaos -- --seconds ${seconds} --seed ${seed} --clients ${clients}`,
    `--faults ${options.faults.join(',') || "''"}${name ? ` --mutant ${name}` : ''}`,
  ].join(' ');
  console.log(`seed ${seed}, ${seconds} s`);
  const result = name
    ? await runMutant(module, mutants[name]!, options, abortController.signal)
    : await run(options, module, console.log, abortController.signal);
  if (!result) return 130;
  console.log(formatReport(module, result, replayCommand).join('\n'));
  return toExitCode(result, options);
}

try {
  // Without process.exit(), Node could wait forever for a connection that a fault has frozen.
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof UsageError) && (error as { code?: string }).code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION')
    throw error;
  console.error(`${(error as Error).message}\nSee npm run chaos -- --help.`);
  process.exitCode = 2;
}
