// npm run chaos -- [--seconds 600] [--seed N] [--faults kill,stop,...]
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { evidenceOf } from './check.ts';
import { faults } from './faults.ts';
import { makeMutantWorkspace } from './mutant-workspace.ts';
import { mutants } from './mutants.ts';
import { countsOf, type Plan, type Result, run, targetOf } from './run.ts';
import { type FaultName, faultNames } from './schedule.ts';

const help = `usage: npm run chaos -- [options]

Starts a store of its own, lets members buy from it, breaks it in many ways, and then checks, past the services, that
nothing was lost and nothing was applied twice. Exit code 1 where anything was.

  --seconds N      how long to buy and to break (default: 600)
  --seed N         the same seed gives the same schedule (default: drawn, and printed)
  --faults a,b     only these (default: all)
  --shoppers N     how many members buy at a time (default: 8)
  --mutant NAME    a store that is broken inside: the run must find it, and end with 1

faults:
${Object.entries(faults)
  .map(([name, { does }]) => `  ${name.padEnd(15)}${does}`)
  .join('\n')}

mutants:
${Object.entries(mutants)
  .map(([name, { lacks }]) => `  ${name.padEnd(22)} ${lacks}`)
  .join('\n')}`;

class Usage extends Error {}

function planOf(args: string[]): (Plan & { mutant?: string | undefined }) | undefined {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: 'string' },
      seed: { type: 'string' },
      faults: { type: 'string' },
      mutant: { type: 'string' },
      shoppers: { type: 'string', default: '8' },
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
  const names = values.faults?.split(',').filter(Boolean) ?? mutant?.faults ?? faultNames;
  const unknown = names.find((name) => !faultNames.includes(name as FaultName));
  if (unknown) throw new Usage(`--faults: there is no "${unknown}"; there are ${faultNames.join(', ')}`);
  return {
    mutant: name,
    // A broken store does not come to rest: there is no use in waiting long for it.
    quiet: mutant ? 25 : 60,
    seconds: number('seconds', values.seconds ?? String(mutant?.seconds ?? 600)),
    seed: values.seed === undefined ? randomInt(1_000_000) : number('seed', values.seed),
    shoppers: number('shoppers', values.shoppers),
    faults: names as FaultName[],
  };
}

function report({ violations, struck, exchanges, facts, settled }: Result, replay: string): string[] {
  const byRule = [...Map.groupBy(violations, ({ rule }) => rule)];
  const shown = byRule.flatMap(([, all]) => all.slice(0, 5));
  const inDetail = [...new Set(shown.flatMap(({ orderId }) => orderId ?? []))].slice(0, 5);
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
    `${struck.length} faults; ${countsOf(exchanges)}; ${facts.orders.length} orders; at rest ${settled.toFixed(0)} s after the last fault`,
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
    `again: ${replay}`,
  ];
}

async function main(args: string[]): Promise<number> {
  const plan = planOf(args);
  if (!plan) {
    console.log(help);
    return 0;
  }
  const { seed, seconds, shoppers, mutant } = plan;
  const replay = [
    `npm run chaos -- --seconds ${seconds} --seed ${seed} --shoppers ${shoppers}`,
    `--faults ${plan.faults.join(',') || "''"}${mutant ? ` --mutant ${mutant}` : ''}`,
  ].join(' ');
  console.log(`seed ${seed}, ${seconds} s`);
  const over = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => {
      if (!over.signal.aborted) console.log('ending; a moment');
      over.abort();
    });
  const workspace = mutant && mkdtempSync(join(tmpdir(), 'jogakbo-mutant-'));
  let result: Result | undefined;
  try {
    if (workspace) makeMutantWorkspace(workspace, mutants[mutant]!.changes);
    result = await run({ ...plan, workspace }, console.log, over.signal);
  } finally {
    if (workspace) rmSync(workspace, { recursive: true, force: true });
  }
  if (!result) return 130;
  console.log(report(result, replay).join('\n'));
  return result.violations.length > 0 ? 1 : 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Usage) && (error as { code?: string }).code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION')
    throw error;
  console.error(`${(error as Error).message}\nnpm run chaos -- --help says more.`);
  process.exitCode = 2;
}
