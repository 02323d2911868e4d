import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { check, type Violation } from './check.ts';
import { ClientLog, type Exchange } from './client-log.ts';
import { type Facts, readFacts } from './facts.ts';
import { faults } from './faults.ts';
import { type FaultName, type Planned, schedule } from './schedule.ts';
import { Store } from './store.ts';
import { Tap } from './tap.ts';
import { Workload } from './workload.ts';

export interface Plan {
  seed: number;
  seconds: number;
  faults: readonly FaultName[];
  shoppers: number;
  /** How many seconds after the last fault the store may take to come to rest. */
  quiet: number;
  /** Whose services run, where it is not this one. */
  workspace?: string | undefined;
}

/** A fault as it really was; times are milliseconds since the epoch. */
export interface Struck extends Planned {
  from: number;
  until: number;
  said: string;
}

export interface Result {
  violations: Violation[];
  struck: Struck[];
  exchanges: readonly Exchange[];
  facts: Facts;
  /** Seconds from the last fault until everything was as promised, or until patience was at its end. */
  settled: number;
}

/** What a fault may disturb after it was undone. */
const aftermath = 12_000;

/**
 * One run: a store of its own, members who buy from it, faults, a quiet time, and the check. Leaves nothing behind but
 * the folder that `keep` names.
 * @param over aborted: ends as soon as it can, and leaves nothing either
 * @returns undefined where it was aborted
 */
export async function run(
  plan: Plan,
  say: (text: string) => void,
  over: AbortSignal,
): Promise<Result | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'jogakbo-chaos-'));
  const store = new Store(folder, plan.workspace);
  const log = new ClientLog(join(folder, 'clients.jsonl'));
  const tap = new Tap(store);
  let workload: Workload | undefined;
  try {
    say('starting a store');
    await store.start();
    if (over.aborted) return undefined;
    await tap.open();
    workload = new Workload(store.url, log, plan.seed);
    await workload.open(store.staff('merchant'), plan.shoppers);
    say(`${plan.shoppers} members are buying at ${store.url}`);
    const began = Date.now();
    const struck = await strikeAll(plan, { store, tap, over }, began, (text) =>
      say(
        `${String(Math.round((Date.now() - began) / 1_000)).padStart(4)} s  ${text}  (${countsOf(log.exchanges)})`,
      ),
    );
    await pause(Math.max(0, began + plan.seconds * 1_000 - Date.now()), undefined, { signal: over }).catch(
      () => undefined,
    );
    if (over.aborted) return undefined;
    const lastFault = Math.max(began, ...struck.map(({ until }) => until));
    say('quiet: everything asked for is waited for');
    const home = workload.close();
    const deadline = Math.max(lastFault, Date.now() - 5_000) + plan.quiet * 1_000;
    await Promise.race([
      home,
      pause(Math.max(0, deadline - plan.quiet * 250 - Date.now()), undefined, { ref: false }),
    ]);
    await workload.giveUp();
    const isCalm = (from: number, until: number) =>
      from > began &&
      until < Date.now() &&
      struck.every((fault) => until < fault.from || from > fault.until + aftermath);
    const { violations, facts } = await settle(store, tap, log, deadline, isCalm, over);
    if (over.aborted) return undefined;
    say(
      `checked ${Math.round((Date.now() - lastFault) / 1_000)} s after the last fault (${countsOf(log.exchanges)})`,
    );
    return { violations, struck, exchanges: log.exchanges, facts, settled: (Date.now() - lastFault) / 1_000 };
  } finally {
    await workload?.giveUp().catch(() => undefined);
    await tap.close();
    say(await store.stop());
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function strikeAll(
  { seed, seconds, faults: names }: Plan,
  world: { store: Store; tap: Tap; over: AbortSignal },
  began: number,
  say: (text: string) => void,
): Promise<Struck[]> {
  const struck = schedule(seed, seconds, names).map(async (planned): Promise<Struck | undefined> => {
    await pause(Math.max(0, began + planned.at * 1_000 - Date.now()), undefined, {
      signal: world.over,
    }).catch(() => undefined);
    if (world.over.aborted) return undefined;
    const from = Date.now();
    const name = `${planned.fault} ${targetOf(planned)}`.trim();
    say(name);
    const said = await faults[planned.fault]
      .strike({ ...world, seed }, planned)
      .catch((error: Error) => `in vain: ${error.message}`);
    return { ...planned, from, until: Date.now(), said };
  });
  return (await Promise.all(struck)).filter((one) => one !== undefined);
}

export const targetOf = ({ fault, service }: Planned): string =>
  ['kill', 'stop', 'term', 'queue'].includes(fault) ? service : '';

/** Looks again and again until all is well twice in a row, or time is over. */
async function settle(
  store: Store,
  tap: Tap,
  log: ClientLog,
  deadline: number,
  isCalm: (from: number, until: number) => boolean,
  over: AbortSignal,
): Promise<{ violations: Violation[]; facts: Facts }> {
  for (let clean = 0; ;) {
    const facts = await readFacts(store, tap).catch((error: Error) => {
      if (Date.now() > deadline || over.aborted) throw error;
      return undefined;
    });
    const violations = facts && check(log.exchanges, facts, isCalm);
    clean = violations?.length === 0 ? clean + 1 : 0;
    if (facts && violations && (clean === 2 || Date.now() > deadline || over.aborted))
      return { violations, facts };
    await pause(3_000, undefined, { signal: over }).catch(() => undefined);
  }
}

export function countsOf(exchanges: readonly Exchange[]): string {
  const placed = exchanges.filter(({ what }) => what === 'place');
  const bought = new Set(placed.filter(({ orderId }) => orderId).map(({ orderId }) => orderId)).size;
  const failed = exchanges.filter(({ status }) => status === undefined || status >= 500).length;
  return `${bought} purchases, ${exchanges.length} requests, ${failed} without a good answer`;
}
