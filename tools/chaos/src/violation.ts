/** A rule that did not hold. */
export interface Violation {
  /** Short name of the rule. */
  rule: string;
  /** What the violation is about, such as an id. Undefined if it concerns no single subject. */
  subject?: string | undefined;
  detail: string;
}

/** When the faults of a run were active. */
export interface FaultWindows {
  /** Whether no fault was active or recent in this time (milliseconds since the epoch). */
  isCalm: (from: number, until: number) => boolean;
  /** When the last fault ended (milliseconds since the epoch). */
  lastFault: number;
}
