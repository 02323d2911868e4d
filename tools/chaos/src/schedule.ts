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

export interface Planned {
  /** Seconds after the beginning. */
  at: number;
  fault: FaultName;
  /** Whom it hits, where it hits one. */
  service: string;
  /** Seconds, where it is undone after a while. */
  lasts: number;
}

/** Seconds; the second is longer than the aftermath of a fault, so that members also buy from a store that has come back. */
const calmBefore = 4;
const calmAfter = 15;

/** Seconds, of what is undone after a while. */
const lasting: Partial<Record<FaultName, number>> = { crash: 10, slow: 10, swallow: 12, disk: 8, clock: 10 };

/** What is to happen when: decided by its arguments alone. The first faults are all different. */
export function schedule(seed: number, seconds: number, names: readonly FaultName[]): Planned[] {
  const random = new Random(seed, 'schedule');
  const planned: Planned[] = [];
  let deck: FaultName[] = [];
  if (names.length === 0) return planned;
  // In a short run they come faster, so that each has its turn.
  const pace = Math.min(1, (seconds - calmBefore - calmAfter) / (names.length * 10));
  for (let at = calmBefore; at < seconds - calmAfter; at += random.between(6, 14) * pace) {
    if (deck.length === 0) deck = shuffled(names, random);
    const fault = deck.pop()!;
    const service = random.pick(fault === 'queue' || fault === 'swallow' ? stateful : services);
    const isLong = random.next() < 0.25 && seconds >= 300 && at < seconds - 60;
    planned.push({
      at: Math.round(at * 10) / 10,
      fault,
      service,
      lasts: fault === 'stop' && isLong ? 20 : (lasting[fault] ?? 5),
    });
  }
  return planned;
}

function shuffled<T>(all: readonly T[], random: Random): T[] {
  return all
    .map((one) => ({ one, order: random.next() }))
    .sort((a, b) => a.order - b.order)
    .map(({ one }) => one);
}
