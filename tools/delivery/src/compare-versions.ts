/** What was handled of one kind of message or request. */
export interface Handled {
  /** Calls follow the shares of the versions. All versions share the events. */
  isCall: boolean;
  ok: number;
  rejected: number;
  failed: number;
  /** Counts by duration: the upper bound in seconds (`+Inf` for the last one), and the number up to it. Cumulative. */
  buckets: [bound: number, count: number][];
}

/** By the name of the message, or `METHOD route`. */
export type Traffic = Map<string, Handled>;

/** What the current version handled, as the measure for the new one. */
export interface Baseline {
  traffic: Traffic;
  /** Seconds in which it handled everything, or longer periods with a part of the calls. */
  seconds: number;
}

/** One period of a rollout. */
export interface Period {
  baseline: Baseline;
  /** What the new version handled. */
  traffic: Traffic;
  seconds: number;
  /** The share of the calls that it should handle, in percent. */
  percent: number;
  /** Whether the period is over. Only then durations are compared: the first messages of a process take longer. */
  isOver: boolean;
}

/** Fewer messages than this say nothing. */
const minCount = 20;
const minFailures = 3;

export const countHandled = ({ ok, rejected, failed }: Handled): number => ok + rejected + failed;

/** What was handled between two measurements. A counter that became smaller belongs to a new process. */
export function subtractTraffic(after: Traffic, before: Traffic): Traffic {
  return new Map(
    [...after].map(([name, now]) => {
      const then = before.get(name);
      if (!then || countHandled(then) > countHandled(now)) return [name, now];
      const difference: Handled = {
        isCall: now.isCall,
        ok: now.ok - then.ok,
        rejected: now.rejected - then.rejected,
        failed: now.failed - then.failed,
        buckets: now.buckets.map(([bound, count], index) => [bound, count - (then.buckets[index]?.[1] ?? 0)]),
      };
      return [name, difference];
    }),
  );
}

/** The sum of what several processes, or one in several periods, handled. */
export function addTraffic(one: Traffic, other: Traffic): Traffic {
  const sum = new Map(one);
  for (const [name, more] of other) {
    const known = sum.get(name);
    if (!known) sum.set(name, more);
    else
      sum.set(name, {
        isCall: more.isCall,
        ok: known.ok + more.ok,
        rejected: known.rejected + more.rejected,
        failed: known.failed + more.failed,
        buckets: more.buckets.map(([bound, count], index) => [
          bound,
          count + (known.buckets[index]?.[1] ?? 0),
        ]),
      });
  }
  return sum;
}

/** The 95th percentile in seconds, interpolated within its bucket. Undefined if nothing was handled. */
export function computeP95({ buckets }: Pick<Handled, 'buckets'>): number | undefined {
  const total = buckets.at(-1)?.[1] ?? 0;
  if (total === 0) return undefined;
  const rank = 0.95 * total;
  let [lower, below] = [0, 0];
  for (const [bound, count] of buckets) {
    if (count >= rank) {
      // The last bucket has no upper bound.
      if (!Number.isFinite(bound)) return 2 * lower;
      return lower + ((bound - lower) * (rank - below)) / (count - below);
    }
    [lower, below] = [bound, count];
  }
  return lower;
}

const toPercent = (share: number): string => `${Math.round(1_000 * share) / 10} %`;
const toMilliseconds = (seconds: number): string => `${Math.round(1_000 * seconds)} ms`;

/** Why one kind of message goes worse in the new version. */
function compareMessage(name: string, now: Handled | undefined, then: Handled | undefined, period: Period) {
  const handled = now ? countHandled(now) : 0;
  const before = then ? countHandled(then) : 0;
  const { seconds, percent, baseline } = period;
  const expected = baseline.seconds > 0 ? (before / baseline.seconds) * seconds * (percent / 100) : 0;
  if (then?.isCall && expected >= minCount && handled < 0.2 * expected)
    return `${name}: handled ${handled}, where about ${Math.round(expected)} were expected`;
  if (!now || handled === 0) return undefined;
  const getShare = (part: 'failed' | 'rejected') => (before > 0 ? then![part] / before : 0);
  if (now.failed >= minFailures && now.failed / handled > 2 * getShare('failed') + 0.01)
    return `${name}: ${now.failed} of ${handled} failed, before ${toPercent(getShare('failed'))}`;
  if (handled < minCount || before < minCount) return undefined;
  if (now.rejected / handled > getShare('rejected') + 0.25)
    return `${name}: ${now.rejected} of ${handled} were rejected, before ${toPercent(getShare('rejected'))}`;
  const [p95, p95Before] = [computeP95(now)!, computeP95(then!)!];
  if (period.isOver && p95 > 3 * p95Before + 0.1)
    return `${name}: 95 % took up to ${toMilliseconds(p95)}, before ${toMilliseconds(p95Before)}`;
  return undefined;
}

/**
 * Compares what the new version handles with what the current one handled: failures, rejections, durations, and whether it
 * handles its share at all. Each kind of message is compared with itself, because their durations differ.
 * @returns why the new version is worse; undefined if it is not, or if too little was handled to tell
 */
export function findRegression(period: Period): string | undefined {
  const names = new Set([...period.traffic.keys(), ...period.baseline.traffic.keys()]);
  for (const name of names) {
    const reason = compareMessage(name, period.traffic.get(name), period.baseline.traffic.get(name), period);
    if (reason) return reason;
  }
  return undefined;
}
