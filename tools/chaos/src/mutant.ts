import { type FaultName } from './schedule.ts';

/** Replaces an exact text in a built service. It must occur once, or the mutant is out of date. */
export interface Change {
  find: string;
  replace: string;
}

export interface Mutant {
  /** The defect, shown in the help. */
  description: string;
  /** Each change is applied to each of these services. */
  services: readonly string[];
  changes: Change[];
  /** The faults that expose the defect. */
  faults: FaultName[];
  seconds: number;
}

export const replace = (find: string, replacement: string): Change => ({ find, replace: replacement });
