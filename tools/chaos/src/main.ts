// npm run chaos -- [--seconds 600] [--seed N] [--faults kill,stop,...] [--mutants]
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { evidenceOf } from './check.ts';
import { faults } from './faults.ts';
import { buildServices, makeMutantWorkspace } from './mutant-workspace.ts';
import { type Mutant, mutants } from './mutants.ts';
import { crashPoints } from './orders-to-inside.ts';
import { countsOf, exitCodeOf, type Plan, type Result, run, targetOf } from './run.ts';
import { type FaultName, faultNames } from './schedule.ts';

const help = `usage: npm run chaos -- [options]

Starts a store of its own, lets members buy from it, breaks it in many ways, and then checks, past the services, that
nothing was lost and nothing was applied twice. Exit code 1 where anything was, and where no fault struck.

  --seconds N      how long to buy and to break (default: 600)
  --seed N         the same seed gives the same schedule (default: drawn, and printed)
  --faults a,b     only these (default: all)
  --shoppers N     how many members buy at a time (default: 16)
  --mutant NAME    a store that is broken inside: the run must find it, and end with 1
  --mutants        every such store, up to three times each: ends with 1 where one is not found

faults:
${Object.entries(faults)
  .map(([name, { does }]) => `  ${name.padEnd(15)}${does}`)
  .join('\n')}

mutants:
${Object.entries(mutants)
  .map(([name, { lacks }]) => `  ${name.padEnd(22)} ${lacks}`)
  .join('\n')}`;

/** A broken store does not come to rest: there is no use in waiting long for it. */
const patienceWithMutants = 25;

class Usage extends Error {}

interface Options extends Plan {
  mutant?: string | undefined;
  /** All of them. */
  mutants: boolean;
}

function optionsOf(args: string[]): Options | undefined {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: 'string' },
      seed: { type: 'string' },
      faults: { type: 'string' },
      mutant: { type: 'string' },
      mutants: { type: 'boolean', default: false },
      shoppers: { type: 'string', default: '16' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return undefined;
  const number = (name: 'seconds' | 'seed' | 'shoppers', text: string) => {
    if (!/^\d{1,9}$/.test(text)) throw new Usage(`--${name}: "${text}" is not a number`);
    return Number(text);
  };
  const { mutant: name } = values;
  const mutant = name !== undefined && Object.hasOwn(mutants, name) ? mutants[name] : undefined;
  if (name !== undefined && !mutant)
    throw new Usage(`--mutant: there is no "${name}"; there are ${Object.keys(mutants).join(', ')}`);
  if (values.mutants && (name ?? values.faults ?? values.seconds) !== undefined)
    throw new Usage('--mutants: each has its own faults and seconds');
  const names = values.faults?.split(',').filter(Boolean) ?? mutant?.faults ?? faultNames;
  const unknown = names.find((name) => !faultNames.includes(name as FaultName));
  if (unknown) throw new Usage(`--faults: there is no "${unknown}"; there are ${faultNames.join(', ')}`);
  return {
    mutant: name,
    mutants: values.mutants,
    quiet: mutant ? patienceWithMutants : 60,
    seconds: number('seconds', values.seconds ?? String(mutant?.seconds ?? 600)),
    seed: values.seed === undefined ? randomInt(1_000_000) : number('seed', values.seed),
    shoppers: number('shoppers', values.shoppers),
    faults: names as FaultName[],
  };
}

/** How often each of them occurs. @param names those to be named in any case */
function tally(all: readonly string[], names: readonly string[] = []): string {
  const counts = new Map(names.map((name) => [name, 0]));
  for (const one of all) counts.set(one, (counts.get(one) ?? 0) + 1);
  return [...counts].map(([name, count]) => `${name} ${count}`).join(', ');
}

function report({ violations, struck, exchanges, facts, settled, kept }: Result, replay: string): string[] {
  const byRule = [...Map.groupBy(violations, ({ rule }) => rule)];
  const shown = byRule.flatMap(([, all]) => all.slice(0, 5));
  const inDetail = [...new Set(shown.flatMap(({ orderId }) => orderId ?? []))].slice(0, 5);
  const points = struck.flatMap(({ points }) => points ?? []);
  const tokens = new Map(exchanges.flatMap(({ key, token }) => (key && token ? [[key, token]] : [])));
  const began = struck[0] ? struck[0].from - struck[0].at * 1_000 : 0;
  return [
    '',
    'timeline:',
    ...struck.map((one) => {
      const from = ((one.from - began) / 1_000).toFixed(1).padStart(6);
      const until = ((one.until - began) / 1_000).toFixed(1).padStart(6);
      return `${from} – ${until} s  ${one.fault.padEnd(12)}${targetOf(one).padEnd(14)}${one.said}`;
    }),
    '',
    ...(points.length > 0 ? [`died at: ${tally(points, crashPoints)}`] : []),
    `paid with: ${tally(facts.orders.map(({ key, amount }) => tokens.get(key) ?? (amount === 0 ? 'nothing' : 'unknown')))}`,
    `${struck.filter(({ hit }) => hit).length} of ${struck.length} faults struck; ${countsOf(exchanges)}; ${facts.orders.length} orders; at rest ${settled.toFixed(0)} s after the last fault`,
    ...inDetail.flatMap((orderId) => [
      '',
      `evidence about order ${orderId}:`,
      ...evidenceOf(orderId, exchanges, facts).map((one) => `  ${JSON.stringify(one)}`),
    ]),
    '',
    ...shown.map(
      ({ rule, orderId, says }) => `VIOLATION  ${rule}${orderId ? `  [order ${orderId}]` : ''}: ${says}`,
    ),
    ...byRule.map(([rule, all]) => `${String(all.length).padStart(6)}  ${rule}`),
    `${violations.length} violations`,
    ...(kept ? [`evidence: ${kept}`] : []),
    `again: ${replay}`,
  ];
}

/** @returns undefined where it was aborted */
async function runMutant(mutant: Mutant, plan: Plan, over: AbortSignal): Promise<Result | undefined> {
  const workspace = mkdtempSync(join(tmpdir(), 'jogakbo-mutant-'));
  try {
    makeMutantWorkspace(workspace, mutant);
    return await run({ ...plan, workspace }, console.log, over);
  } finally {
    rmSync(workspace, { recursive: true, force: true });
  }
}

/** @returns whether each of them was found, in one of three tries */
async function findAll({ seed, shoppers }: Plan, over: AbortSignal): Promise<boolean> {
  const rows: string[] = [];
  let found = 0;
  for (const [name, mutant] of Object.entries(mutants)) {
    const { faults, seconds } = mutant;
    let rules: string[] = [];
    let tries = 0;
    while (tries < 3 && rules.length === 0 && !over.aborted) {
      console.log(`\n${name}, try ${tries + 1}: ${mutant.lacks}`);
      const plan = { seed: seed + tries, seconds, faults, shoppers, quiet: patienceWithMutants };
      const result = await runMutant(mutant, plan, over);
      rules = [...new Set(result?.violations.map(({ rule }) => rule))];
      tries += 1;
    }
    if (rules.length > 0) found += 1;
    rows.push(
      `${name.padEnd(22)} ${rules.length > 0 ? 'found' : 'NOT FOUND'} at try ${tries}  ${rules.join('; ')}`,
    );
  }
  console.log(['', ...rows, `${found} of ${rows.length} mutants found`].join('\n'));
  return found === rows.length && !over.aborted;
}

async function main(args: string[]): Promise<number> {
  const options = optionsOf(args);
  if (!options) {
    console.log(help);
    return 0;
  }
  const { seed, seconds, shoppers, mutant: name } = options;
  const over = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => {
      if (!over.signal.aborted) console.log('ending; a moment');
      over.abort();
    });
  if (options.mutants || name) buildServices();
  if (options.mutants) return (await findAll(options, over.signal)) ? 0 : 1;

  const replay = [
    `npm run chaos -- --seconds ${seconds} --seed ${seed} --shoppers ${shoppers}`,
    `--faults ${options.faults.join(',') || "''"}${name ? ` --mutant ${name}` : ''}`,
  ].join(' ');
  console.log(`seed ${seed}, ${seconds} s`);
  const result = name
    ? await runMutant(mutants[name]!, options, over.signal)
    : await run(options, console.log, over.signal);
  if (!result) return 130;
  console.log(report(result, replay).join('\n'));
  return exitCodeOf(result, options);
}

try {
  // Node's own cleanup at a natural exit can wait for ever for a connection that a fault has frozen.
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof Usage) && (error as { code?: string }).code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION')
    throw error;
  console.error(`${(error as Error).message}\nnpm run chaos -- --help says more.`);
  process.exitCode = 2;
}
