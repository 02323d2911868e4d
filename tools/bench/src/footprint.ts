// Starts the built store, puts load on it, and compares start-up time and memory with the budgets:
// npm run bench:footprint -- [--count 5000] [--customers 8] [--settle 20] [--json]
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { importLoadModule, type LoadModule } from './load-module.ts';
import { type ProcessRow, repository, StartedStore } from './started-store.ts';

const usage = `npm run bench:footprint -- [--count 5000] [--customers 8] [--settle 20] [--json]
  --count      actions of customers; 0 measures the store at rest only
  --customers  actions at a time
  --settle     seconds without requests before each measurement
Memory is the proportional set size (PSS) in MB of 1024² bytes. The exit code is 1 if a budget is exceeded.
The budget of a service is jogakbo.memory of its package.json, in MB; without it 85 at rest and 110 after load.`;

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '5000' },
    customers: { type: 'string', default: '8' },
    settle: { type: 'string', default: '20' },
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}
const load = await importLoadModule();
const count = load ? Number(values.count) : 0;
const customers = Number(values.customers);

/** Megabytes. */
interface Memory {
  atRest: number;
  /** Undefined without load. */
  afterLoad?: number;
}

interface Figure {
  name: string;
  measured: Memory;
  budget?: Required<Memory>;
}

const plainService = { atRest: 85, afterLoad: 110 };
/** All services, the broker and the database. */
const wholeStore = { atRest: 1.1 * 1024, afterLoad: 1.25 * 1024 };

/** The budget of a service; undefined for the broker, the database and the supervisor. */
function readBudget(name: string): Required<Memory> | undefined {
  const manifest = join(repository, 'apps', name, 'package.json');
  if (!existsSync(manifest)) return undefined;
  const { jogakbo } = JSON.parse(readFileSync(manifest, 'utf8')) as { jogakbo?: { memory?: number } };
  const memory = jogakbo?.memory;
  return memory === undefined ? plainService : { atRest: memory, afterLoad: memory };
}

/** @returns megabytes by row; the sum leaves out the supervisor, which is not part of a deployed store */
async function measureMemory(store: StartedStore): Promise<Map<string, number>> {
  await sleep(Number(values.settle) * 1_000);
  const rows = await store.listRows();
  const toMegabytes = ({ memory }: ProcessRow) => memory / 1024 ** 2;
  const deployed = rows.filter(({ service }) => service !== 'supervisor');
  return new Map([
    ...rows.map((row): [string, number] => [row.service, toMegabytes(row)]),
    ['total', deployed.reduce((sum, row) => sum + toMegabytes(row), 0)],
  ]);
}

async function applyLoad({ unit, run }: LoadModule, url: string): Promise<void> {
  let done = 0;
  const onDone = () => {
    if (++done % 500 === 0) console.error(`${done} of ${count} ${unit}`);
  };
  await run({ url, count, customers, onDone });
}

function compare(before: Map<string, number>, after: Map<string, number> | undefined): Figure[] {
  return [...before].map(([name, atRest]) => ({
    name,
    measured: { atRest, ...(after && { afterLoad: after.get(name) ?? 0 }) },
    ...(name === 'total'
      ? { budget: wholeStore }
      : readBudget(name) !== undefined && { budget: readBudget(name) }),
  }));
}

const isExceeded = ({ measured, budget }: Figure): boolean =>
  budget !== undefined && (measured.atRest > budget.atRest || (measured.afterLoad ?? 0) > budget.afterLoad);

function formatFigure({ name, measured, budget }: Figure): string {
  const format = (moment: keyof Memory) => {
    const value = measured[moment];
    if (value === undefined) return '';
    const limit = budget?.[moment];
    const mark = limit !== undefined && value > limit ? ' EXCEEDED' : '';
    return `${value.toFixed(1).padStart(7)} ${limit ? `of ${limit.toFixed(0)}` : ''}${mark}`.padEnd(24);
  };
  return `${name.padEnd(16)}${format('atRest')}${format('afterLoad')}`.trimEnd();
}

function print(figures: Figure[], startedIn: number): void {
  const exceeded = figures.filter(isExceeded).map(({ name }) => name);
  if (values.json) {
    console.log(JSON.stringify({ startedIn, count, figures, exceeded }, null, 2));
    return;
  }
  console.log(`started in ${(startedIn / 1_000).toFixed(1)} s`);
  console.log(
    `${'memory in MB'.padEnd(18)}${'at rest'.padEnd(24)}${load && count ? `after ${count} ${load.unit}` : ''}`,
  );
  for (const figure of figures) console.log(formatFigure(figure));
  console.log(
    exceeded.length ? `budget exceeded: ${exceeded.join(', ')}` : 'every figure is within its budget',
  );
}

const store = new StartedStore();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void store.remove().finally(() => process.exit(130)));
try {
  console.error('starting the store…');
  const startedIn = await store.start();
  console.error(`started in ${(startedIn / 1_000).toFixed(1)} s; measuring at rest…`);
  const before = await measureMemory(store);
  if (load && count > 0) await applyLoad(load, store.url);
  const after = count > 0 ? await measureMemory(store) : undefined;
  const figures = compare(before, after);
  print(figures, startedIn);
  process.exitCode = figures.some(isExceeded) ? 1 : 0;
} finally {
  await store.remove();
}
process.exit();
