/** How the sandbox handles a charge with a token. */
export interface Behaviour {
  /** Reason for the decline; authorized if it is not set. */
  declined?: string;
  /** How many calls with one key get a 500 before the decision. */
  failures?: number;
  /** Decides immediately, responds late. */
  isLate?: boolean;
  /** Decides, but drops the connection of the first call with a key. */
  dropsConnection?: boolean;
}

export const tokens: ReadonlyMap<string, Behaviour> = new Map<string, Behaviour>([
  ['tok_ok', {}],
  ['tok_declined', { declined: 'card-declined' }],
  ['tok_insufficient_funds', { declined: 'insufficient-funds' }],
  ['tok_timeout', { isLate: true }],
  ['tok_flaky', { failures: 2 }],
  ['tok_commit_then_drop', { dropsConnection: true }],
]);
