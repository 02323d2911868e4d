import { Random } from './random.ts';
import { services, stateful } from './services.ts';

export const faultNames = [
  'kill',
  'stop',
  'term',
  'roll',
  'broker',
  'freeze',
  'database',
  'connections',
  'queue',
  'duplicates',
  'crash',
  'slow',
  'cut',
  'swallow',
  'disk',
  'clock',
] as const;
export type FaultName = (typeof faultNames)[number];

export interface PlannedFault {
  /** Seconds after the start of the run. */
  at: number;
  fault: FaultName;
  /** The affected service, if the fault affects one. */
  service: string;
  /** Seconds, if chaos ends the fault itself. */
  lasts: number;
}

/** Seconds. The second is longer than the recovery after a fault, so that clients also use a recovered store. */
const calmBefore = 4;
const calmAfter = 15;

/** Seconds. The default is 5. */
const durations: Partial<Record<FaultName, number>> = {
  crash: 10,
  slow: 10,
  swallow: 12,
  disk: 8,
  clock: 10,
};

/** Deterministic: depends on the arguments only. No fault repeats before each has been used once. */
export function schedule(seed: number, seconds: number, names: readonly FaultName[]): PlannedFault[] {
  const random = new Random(seed, 'schedule');
  const planned: PlannedFault[] = [];
  let deck: FaultName[] = [];
  if (names.length === 0) return planned;
  // Closer together in a short run, so that each fault occurs.
  const spacing = Math.min(1, (seconds - calmBefore - calmAfter) / (names.length * 10));
  for (let at = calmBefore; at < seconds - calmAfter; at += random.between(6, 14) * spacing) {
    if (deck.length === 0) deck = shuffle(names, random);
    const fault = deck.pop()!;
    const service = random.pick(fault === 'queue' || fault === 'swallow' ? stateful : services);
    const isLong = random.next() < 0.25 && seconds >= 300 && at < seconds - 60;
    planned.push({
      at: Math.round(at * 10) / 10,
      fault,
      service,
      lasts: fault === 'stop' && isLong ? 20 : (durations[fault] ?? 5),
    });
  }
  return planned;
}

function shuffle<T>(all: readonly T[], random: Random): T[] {
  return all
    .map((one) => ({ one, order: random.next() }))
    .sort((a, b) => a.order - b.order)
    .map(({ one }) => one);
}
