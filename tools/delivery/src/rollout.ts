import { setTimeout as pause } from 'node:timers/promises';
import {
  addTraffic,
  type Baseline,
  countHandled,
  findRegression,
  subtractTraffic,
  type Traffic,
} from './compare-versions.ts';
import { type Engine, NotReady, type Release, type VersionState } from './engine.ts';

export interface RolloutOptions {
  /** Shares of the calls in percent, in order, such as 10, 50, 100. Without steps it is promoted as soon as it is ready. */
  steps: readonly number[];
  /** How long each step is observed, in milliseconds. */
  watchMs: number;
  /** The most bytes that a process of the new version may use. */
  memoryLimit?: number | undefined;
  /** Aborts the rollout: the new version is withdrawn. */
  signal?: AbortSignal | undefined;
}

export type RolloutResult =
  | { outcome: 'promoted'; handled: number }
  /** The current version handles everything again. `lines` are the last ones of its log. */
  | { outcome: 'rolled back'; reason: string; lines: readonly string[] };

type Report = (text: string) => void;

const pollMs = 250;
const nothing: VersionState = { instances: 0, ready: 0, restarts: 0, memory: 0, traffic: new Map() };

/**
 * Replaces the running version of a service without an interruption: starts the new one beside it, shifts the calls in steps,
 * compares both, and then either ends the old one or withdraws the new one. The current version keeps its strength until the
 * new one is promoted.
 * @throws what the engine throws; the new version is withdrawn before
 */
export async function rollOut(
  engine: Engine,
  release: Release,
  options: RolloutOptions,
  report: Report,
): Promise<RolloutResult> {
  const rollout = new Rollout(engine, release, options, report);
  try {
    return await rollout.run();
  } catch (error) {
    await rollout.withdraw().catch(() => undefined);
    if (error instanceof NotReady)
      return { outcome: 'rolled back', reason: error.message, lines: error.lines };
    if (options.signal?.aborted) return { outcome: 'rolled back', reason: 'interrupted', lines: [] };
    throw error;
  }
}

class Rollout {
  readonly #engine: Engine;
  readonly #release: Release;
  readonly #options: RolloutOptions;
  readonly #report: Report;
  #baseline: Baseline = { traffic: new Map(), seconds: 0 };
  #last!: { at: number; versions: Map<string, VersionState> };
  #handled = 0;

  constructor(engine: Engine, release: Release, options: RolloutOptions, report: Report) {
    this.#engine = engine;
    this.#release = release;
    this.#options = options;
    this.#report = report;
  }

  async run(): Promise<RolloutResult> {
    const { service, version } = this.#release;
    const { signal } = this.#options;
    const isFirst = (await this.#measure()).size === 0;
    this.#report(`starting ${service} ${version}${isFirst ? '' : ' beside the current version'}`);
    await this.#engine.start(this.#release);
    signal?.throwIfAborted();
    // What the current version handled in the meantime is the first part of the baseline.
    await this.#observe(0);
    // The first version has all calls from its start.
    for (const percent of isFirst ? [100] : this.#options.steps) {
      const isSplit = await this.#engine.shift(this.#release, percent);
      this.#report(isSplit ? `${percent} % of the calls` : 'both versions share the calls');
      const reason = await this.#watch(isSplit ? percent : 50);
      if (reason) {
        this.#report(`rolling back: ${reason}`);
        await this.withdraw();
        return { outcome: 'rolled back', reason, lines: [] };
      }
      if (!isSplit) break;
    }
    await this.#engine.promote(this.#release);
    return { outcome: 'promoted', handled: this.#handled };
  }

  /** The calls return to the current version before the new one drains. */
  async withdraw(): Promise<void> {
    try {
      await this.#engine.shift(this.#release, 0);
    } finally {
      await this.#engine.withdraw(this.#release);
    }
  }

  /** Observes one step. @returns why the new version is worse */
  async #watch(percent: number): Promise<string | undefined> {
    const { watchMs, signal } = this.#options;
    const began = performance.now();
    let traffic: Traffic = new Map();
    for (let isOver = false; !isOver;) {
      await pause(Math.min(pollMs, watchMs), undefined, { signal });
      const observed = await this.#observe(percent);
      traffic = addTraffic(traffic, observed.traffic);
      const seconds = (performance.now() - began) / 1_000;
      isOver = 1_000 * seconds >= watchMs;
      const reason =
        this.#findFault(observed.state) ??
        findRegression({ baseline: this.#baseline, traffic, seconds, percent, isOver });
      if (reason) return reason;
    }
    const handled = [...traffic.values()].reduce((sum, one) => sum + countHandled(one), 0);
    this.#handled += handled;
    this.#report(
      handled > 0
        ? `handled ${handled} messages and requests, no worse than before`
        : 'handled nothing, so there is nothing to compare',
    );
    return undefined;
  }

  #findFault({ instances, ready, restarts, memory }: VersionState): string | undefined {
    const { memoryLimit } = this.#options;
    const toMegabytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MB`;
    if (restarts > 0 || instances === 0) return 'its process ended';
    if (ready < instances) return `${instances - ready} of ${instances} processes are not ready`;
    if (memoryLimit && memory > memoryLimit)
      return `a process uses ${toMegabytes(memory)}, more than ${toMegabytes(memoryLimit)}`;
    return undefined;
  }

  async #measure(): Promise<Map<string, VersionState>> {
    const versions = await this.#engine.measure(this.#release.service);
    this.#last = { at: performance.now(), versions };
    return versions;
  }

  /** Adds to the baseline what the other versions have handled since the last measurement. */
  async #observe(percent: number): Promise<{ traffic: Traffic; state: VersionState }> {
    const { version } = this.#release;
    const before = this.#last;
    const versions = await this.#measure();
    const since = (name: string) =>
      subtractTraffic(
        versions.get(name)?.traffic ?? new Map(),
        before.versions.get(name)?.traffic ?? new Map(),
      );
    let { traffic, seconds } = this.#baseline;
    for (const name of versions.keys()) if (name !== version) traffic = addTraffic(traffic, since(name));
    seconds += ((this.#last.at - before.at) / 1_000) * ((100 - percent) / 100);
    this.#baseline = { traffic, seconds };
    return { traffic: since(version), state: versions.get(version) ?? nothing };
  }
}
