import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { check, isPermanent } from './check.ts';
import { type Violation, type FaultWindows } from './violation.ts';
import { type ChaosModule, type Workload } from './chaos-module.ts';
import { ClientLog, type LoggedRequest } from './client-log.ts';
import { type Facts } from './facts.ts';
import { readFacts } from './read-facts.ts';
import { findClockEnvironment } from './clocks.ts';
import { Disk } from './disk.ts';
import { type FaultContext, type FaultEffect, faults } from './faults.ts';
import { Links } from './links.ts';
import { ControlChannel } from './control-channel.ts';
import { rebuildAll } from './rebuild.ts';
import { type FaultName, type PlannedFault, schedule } from './schedule.ts';
import { services } from './services.ts';
import { repository, Store } from './store.ts';
import { Tap } from './tap.ts';

export interface Plan {
  seed: number;
  seconds: number;
  faults: readonly FaultName[];
  /** Number of clients that use the store at the same time. */
  clients: number;
  /** How long the store may take to settle after the last fault. */
  settleTimeoutMs: number;
  /** The workspace with the services to run (default: this one). No evidence is kept of such a run. */
  workspace?: string | undefined;
}

/** A fault with its actual times, in milliseconds since the epoch. */
export interface InjectedFault extends PlannedFault, FaultEffect {
  from: number;
  until: number;
}

export interface Result {
  violations: Violation[];
  injected: InjectedFault[];
  requests: readonly LoggedRequest[];
  facts: Facts;
  /** Seconds from the last fault until all rules held, or until the timeout. */
  settledSeconds: number;
  /** Undefined without violations. */
  evidenceFolder?: string | undefined;
}

/** How long a fault may affect requests after it has ended. */
const recoveryMs = 12_000;

/** A store that has not started yet, and what injects the faults into it. */
interface Testbed extends Pick<FaultContext, 'store' | 'tap' | 'links' | 'control' | 'disk' | 'hasClocks'> {
  log: ClientLog;
}

/**
 * Starts a store, runs the workload, injects the faults, waits until the store settles, and checks it. Leaves no
 * process behind, and no file except the evidence of a run with violations. An aborted run cleans up too.
 * @returns undefined if aborted
 */
export async function run(
  plan: Plan,
  module: ChaosModule,
  print: (text: string) => void,
  abortSignal: AbortSignal,
): Promise<Result | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'jogakbo-chaos-'));
  const testbed = await prepareTestbed(plan, module, folder);
  const { store, tap, links, disk } = testbed;
  let result: Result | undefined;
  try {
    print('starting a store');
    await store.start();
    if (abortSignal.aborted) return undefined;
    await tap.open();
    result = await runWorkload(plan, module, testbed, print, abortSignal);
  } finally {
    await tap.close();
    print(await store.stop());
    await links.close();
    disk?.remove();
    if (result && result.violations.length > 0 && !plan.workspace)
      result.evidenceFolder = keepEvidence(result, folder, store);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
  return result;
}

async function prepareTestbed(plan: Plan, module: ChaosModule, folder: string): Promise<Testbed> {
  const control = new ControlChannel(join(folder, 'inside'));
  const links: Links = new Links((peer) => store.getPort(peer));
  const clockEnvironment = plan.faults.includes('clock') ? findClockEnvironment() : undefined;
  const store = new Store(folder, plan.workspace, {
    ...module.settings,
    ...control.environment,
    ...(await links.open(services)),
    ...clockEnvironment,
    // Runs before each service; the services themselves are unchanged.
    NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import ${import.meta.resolve('./inside.ts')}`.trim(),
    PATH: [dirname(process.execPath), process.env.PATH].join(delimiter),
  });
  const disk = plan.faults.includes('disk') ? Disk.mountUnder(store.home) : undefined;
  const log = new ClientLog(join(folder, 'clients.jsonl'));
  const hasClocks = clockEnvironment !== undefined;
  return { store, tap: new Tap(store), links, control, disk, hasClocks, log };
}

/** Runs the workload on the started store and injects the faults. @returns undefined if aborted */
async function runWorkload(
  plan: Plan,
  module: ChaosModule,
  { log, ...context }: Testbed,
  print: (text: string) => void,
  abortSignal: AbortSignal,
): Promise<Result | undefined> {
  const { store, tap } = context;
  const workload = module.createWorkload({ store, log, seed: plan.seed, clients: plan.clients });
  const formatNow = () => formatCounts(module, log.requests);
  try {
    await workload.open();
    print(`${plan.clients} clients use ${store.url}`);
    const began = Date.now();
    const formatSeconds = () => String(Math.round((Date.now() - began) / 1_000)).padStart(4);
    const injected = await injectFaults(plan, { ...context, abortSignal }, began, (text) =>
      print(`${formatSeconds()} s  ${text}  (${formatNow()})`),
    );
    await pause(Math.max(0, began + plan.seconds * 1_000 - Date.now()), undefined, {
      signal: abortSignal,
    }).catch(() => undefined);
    if (abortSignal.aborted) return undefined;
    print('no more faults; waiting for open requests');
    const faultWindows = toFaultWindows(began, injected);
    const { lastFault } = faultWindows;
    const deadline = Math.max(lastFault, Date.now() - 5_000) + plan.settleTimeoutMs;
    await finishRequests(workload, deadline - plan.settleTimeoutMs / 4);
    const parts = { store, tap, log, module };
    const { violations, facts } = await checkUntilSettled(parts, deadline, faultWindows, abortSignal);
    if (abortSignal.aborted) return undefined;
    const settledSeconds = (Date.now() - lastFault) / 1_000;
    print(`checked ${Math.round(settledSeconds)} s after the last fault (${formatNow()})`);
    return { violations, injected, requests: log.requests, facts, settledSeconds };
  } finally {
    await workload.abort().catch(() => undefined);
  }
}

/** Waits for the final responses of open requests until a time, in milliseconds since the epoch. */
async function finishRequests(workload: Workload, until: number): Promise<void> {
  await Promise.race([workload.close(), pause(Math.max(0, until - Date.now()), undefined, { ref: false })]);
  await workload.abort();
}

const toFaultWindows = (began: number, injected: readonly InjectedFault[]): FaultWindows => ({
  lastFault: Math.max(began, ...injected.map(({ until }) => until)),
  isCalm: (from, until) =>
    from > began && injected.every((fault) => until < fault.from || from > fault.until + recoveryMs),
});

/** @returns the folder with the client log, the logs of the store, the facts and the violations */
function keepEvidence({ violations, injected, facts }: Result, folder: string, store: Store): string {
  const evidenceFolder = join('.jogakbo', 'chaos', new Date().toISOString().replaceAll(':', '-'));
  const path = join(repository, evidenceFolder);
  mkdirSync(path, { recursive: true });
  cpSync(join(folder, 'clients.jsonl'), join(path, 'clients.jsonl'));
  cpSync(join(store.home, 'logs'), join(path, 'logs'), { recursive: true });
  for (const [name, content] of Object.entries({ violations, faults: injected, facts }))
    writeFileSync(join(path, `${name}.json`), JSON.stringify(content, null, 2));
  return evidenceFolder;
}

async function injectFaults(
  { seed, seconds, faults: names }: Plan,
  context: Omit<FaultContext, 'seed'>,
  began: number,
  print: (text: string) => void,
): Promise<InjectedFault[]> {
  const injected = schedule(seed, seconds, names).map(async (planned): Promise<InjectedFault | undefined> => {
    await pause(Math.max(0, began + planned.at * 1_000 - Date.now()), undefined, {
      signal: context.abortSignal,
    }).catch(() => undefined);
    if (context.abortSignal.aborted) return undefined;
    const from = Date.now();
    const name = `${planned.fault} ${formatTarget(planned)}`.trim();
    print(name);
    const effect = await faults[planned.fault]
      .inject({ ...context, seed }, planned)
      .catch((error: Error): FaultEffect => ({ hit: false, detail: `failed: ${error.message}` }));
    return { ...planned, ...effect, from, until: Date.now() };
  });
  return (await Promise.all(injected)).filter((one) => one !== undefined);
}

export const formatTarget = ({ fault, service }: PlannedFault): string =>
  ['kill', 'stop', 'term', 'queue', 'swallow', 'clock'].includes(fault) ? service : '';

/**
 * Repeats the check until it passes twice in a row, a violation is permanent, or the deadline is over. Unless a
 * violation is permanent, it then rebuilds the read models and checks them too.
 */
async function checkUntilSettled(
  { store, tap, log, module }: { store: Store; tap: Tap; log: ClientLog; module: ChaosModule },
  deadline: number,
  faultWindows: FaultWindows,
  abortSignal: AbortSignal,
): Promise<{ violations: Violation[]; facts: Facts }> {
  for (let passes = 0; ;) {
    const facts = await readFacts(store, tap, module).catch((error: Error) => {
      if (Date.now() > deadline || abortSignal.aborted) throw error;
      return undefined;
    });
    const violations = facts && check(module, log.requests, facts, faultWindows);
    passes = violations?.length === 0 ? passes + 1 : 0;
    if (facts && violations?.some((one) => isPermanent(one, module))) return { violations, facts };
    if (facts && (passes === 2 || Date.now() > deadline || abortSignal.aborted)) {
      facts.rebuilt = await rebuildAll(store);
      return { violations: check(module, log.requests, facts, faultWindows), facts };
    }
    await pause(3_000, undefined, { signal: abortSignal }).catch(() => undefined);
  }
}

export function formatCounts(module: ChaosModule, requests: readonly LoggedRequest[]): string {
  const failed = requests.filter(({ status }) => status === undefined || status >= 500).length;
  return `${module.formatProgress(requests)}, ${requests.length} requests, ${failed} failed`;
}

/** Also 1 if faults were requested and none took effect. */
export function toExitCode(
  { violations, injected }: Pick<Result, 'violations' | 'injected'>,
  { faults }: Pick<Plan, 'faults'>,
): number {
  if (violations.length > 0) return 1;
  if (faults.length === 0 || injected.some(({ hit }) => hit)) return 0;
  console.error('No fault took effect, so this run proves nothing. Run it again with more --seconds.');
  return 1;
}
