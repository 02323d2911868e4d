import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { check, healsNever, type Violation, type FaultWindows } from './check.ts';
import { ClientLog, type LoggedRequest } from './client-log.ts';
import { type Facts, readFacts } from './facts.ts';
import { findClocks } from './clocks.ts';
import { Disk } from './disk.ts';
import { type FaultEffect, faults, type World } from './faults.ts';
import { Links } from './links.ts';
import { ControlChannel } from './control-channel.ts';
import { rebuildAll } from './rebuild.ts';
import { type FaultName, type Planned, schedule } from './schedule.ts';
import { services } from './services.ts';
import { repository, Store } from './store.ts';
import { Tap } from './tap.ts';
import { Workload } from './workload.ts';

export interface Plan {
  seed: number;
  seconds: number;
  faults: readonly FaultName[];
  shoppers: number;
  /** How many seconds after the last fault the store may take to come to rest. */
  quiet: number;
  /** Whose services run, where it is not this one. Nothing is kept of such a run. */
  workspace?: string | undefined;
}

/** A fault as it really was; times are milliseconds since the epoch. */
export interface InjectedFault extends Planned, FaultEffect {
  from: number;
  until: number;
}

export interface Result {
  violations: Violation[];
  injected: InjectedFault[];
  requests: readonly LoggedRequest[];
  facts: Facts;
  /** Seconds from the last fault until everything was as promised, or until patience was at its end. */
  settled: number;
  /** The folder with all that is known of a run with violations, where it was kept. */
  kept?: string | undefined;
}

/** What a fault may disturb after it was undone. */
const aftermath = 12_000;

/**
 * One run: a store of its own, members who buy from it, faults, a quiet time, and the check. Leaves no process behind,
 * and no file but the evidence of a run with violations.
 * @param over aborted: ends as soon as it can, and leaves nothing either
 * @returns undefined where it was aborted
 */
export async function run(
  plan: Plan,
  say: (text: string) => void,
  over: AbortSignal,
): Promise<Result | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'jogakbo-chaos-'));
  const inside = new ControlChannel(join(folder, 'inside'));
  const links: Links = new Links((peer) => store.getPort(peer));
  const clocks = plan.faults.includes('clock') ? findClocks() : undefined;
  const store = new Store(folder, plan.workspace, {
    ...inside.environment,
    ...(await links.open(services)),
    ...clocks,
    // The services are built as ever; this runs before them.
    NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import ${import.meta.resolve('./inside.ts')}`.trim(),
    PATH: [dirname(process.execPath), process.env.PATH].join(delimiter),
  });
  const disk = plan.faults.includes('disk') ? Disk.under(store.home) : undefined;
  const log = new ClientLog(join(folder, 'clients.jsonl'));
  const tap = new Tap(store);
  let workload: Workload | undefined;
  let result: Result | undefined;
  try {
    say('starting a store');
    await store.start();
    if (over.aborted) return undefined;
    await tap.open();
    workload = new Workload(store.url, log, plan.seed);
    await workload.open(store.staff('merchant'), plan.shoppers);
    say(`${plan.shoppers} members are buying at ${store.url}`);
    const began = Date.now();
    const injected = await strikeAll(
      plan,
      { store, tap, links, inside, disk, hasClocks: clocks !== undefined, over },
      began,
      (text) =>
        say(
          `${String(Math.round((Date.now() - began) / 1_000)).padStart(4)} s  ${text}  (${formatCounts(log.requests)})`,
        ),
    );
    await pause(Math.max(0, began + plan.seconds * 1_000 - Date.now()), undefined, { signal: over }).catch(
      () => undefined,
    );
    if (over.aborted) return undefined;
    const lastFault = Math.max(began, ...injected.map(({ until }) => until));
    say('quiet: everything asked for is waited for');
    const home = workload.close();
    const deadline = Math.max(lastFault, Date.now() - 5_000) + plan.quiet * 1_000;
    await Promise.race([
      home,
      pause(Math.max(0, deadline - plan.quiet * 250 - Date.now()), undefined, { ref: false }),
    ]);
    await workload.giveUp();
    const faultWindows: FaultWindows = {
      lastFault,
      isCalm: (from, until) =>
        from > began && injected.every((fault) => until < fault.from || from > fault.until + aftermath),
    };
    const { violations, facts } = await settle(store, tap, log, deadline, faultWindows, over);
    if (over.aborted) return undefined;
    say(
      `checked ${Math.round((Date.now() - lastFault) / 1_000)} s after the last fault (${formatCounts(log.requests)})`,
    );
    const settled = (Date.now() - lastFault) / 1_000;
    result = { violations, injected, requests: log.requests, facts, settled };
  } finally {
    await workload?.giveUp().catch(() => undefined);
    await tap.close();
    say(await store.stop());
    await links.close();
    disk?.remove();
    if (result && result.violations.length > 0 && !plan.workspace) result.kept = keep(result, folder, store);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
  return result;
}

/** @returns where the client log, the logs of the store, the facts and the violations are now */
function keep({ violations, injected, facts }: Result, folder: string, store: Store): string {
  const kept = join('.jogakbo', 'chaos', new Date().toISOString().replaceAll(':', '-'));
  const path = join(repository, kept);
  mkdirSync(path, { recursive: true });
  cpSync(join(folder, 'clients.jsonl'), join(path, 'clients.jsonl'));
  cpSync(join(store.home, 'logs'), join(path, 'logs'), { recursive: true });
  for (const [name, what] of Object.entries({ violations, faults: injected, facts }))
    writeFileSync(join(path, `${name}.json`), JSON.stringify(what, null, 2));
  return kept;
}

async function strikeAll(
  { seed, seconds, faults: names }: Plan,
  world: Omit<World, 'seed'>,
  began: number,
  say: (text: string) => void,
): Promise<InjectedFault[]> {
  const injected = schedule(seed, seconds, names).map(async (planned): Promise<InjectedFault | undefined> => {
    await pause(Math.max(0, began + planned.at * 1_000 - Date.now()), undefined, {
      signal: world.over,
    }).catch(() => undefined);
    if (world.over.aborted) return undefined;
    const from = Date.now();
    const name = `${planned.fault} ${formatTarget(planned)}`.trim();
    say(name);
    const blow = await faults[planned.fault]
      .strike({ ...world, seed }, planned)
      .catch((error: Error): FaultEffect => ({ hit: false, said: `in vain: ${error.message}` }));
    return { ...planned, ...blow, from, until: Date.now() };
  });
  return (await Promise.all(injected)).filter((one) => one !== undefined);
}

export const formatTarget = ({ fault, service }: Planned): string =>
  ['kill', 'stop', 'term', 'queue', 'swallow', 'clock'].includes(fault) ? service : '';

/**
 * Looks again and again until all is well twice in a row, or something is broken for good, or time is over. Whatever
 * was read is then built again from the logs.
 */
async function settle(
  store: Store,
  tap: Tap,
  log: ClientLog,
  deadline: number,
  faultWindows: FaultWindows,
  over: AbortSignal,
): Promise<{ violations: Violation[]; facts: Facts }> {
  for (let clean = 0; ;) {
    const facts = await readFacts(store, tap).catch((error: Error) => {
      if (Date.now() > deadline || over.aborted) throw error;
      return undefined;
    });
    const violations = facts && check(log.requests, facts, faultWindows);
    clean = violations?.length === 0 ? clean + 1 : 0;
    if (facts && violations?.some(healsNever)) return { violations, facts };
    if (facts && (clean === 2 || Date.now() > deadline || over.aborted)) {
      facts.rebuilt = await rebuildAll(store);
      return { violations: check(log.requests, facts, faultWindows), facts };
    }
    await pause(3_000, undefined, { signal: over }).catch(() => undefined);
  }
}

export function formatCounts(requests: readonly LoggedRequest[]): string {
  const placed = requests.filter(({ what }) => what === 'place');
  const bought = new Set(placed.filter(({ orderId }) => orderId).map(({ orderId }) => orderId)).size;
  const failed = requests.filter(({ status }) => status === undefined || status >= 500).length;
  return `${bought} purchases, ${requests.length} requests, ${failed} without a good answer`;
}

/** Where no fault struck although some were asked for, nothing was shown. */
export function toExitCode(
  { violations, injected }: Pick<Result, 'violations' | 'injected'>,
  { faults }: Pick<Plan, 'faults'>,
): number {
  if (violations.length > 0) return 1;
  if (faults.length === 0 || injected.some(({ hit }) => hit)) return 0;
  console.error('No fault struck: this run proves nothing. Give it more --seconds.');
  return 1;
}
