/** How the sandbox treats a charge that is paid with a token. */
export interface Behaviour {
  /** Why it is declined; authorized where there is no reason. */
  declined?: string;
  /** How many calls of one key are answered 500 before it decides. */
  failures?: number;
  /** Decides at once, answers late. */
  late?: boolean;
  /** Decides, and the first call of one key gets no answer: its connection is cut. */
  drops?: boolean;
}

export const tokens: ReadonlyMap<string, Behaviour> = new Map<string, Behaviour>([
  ['tok_ok', {}],
  ['tok_declined', { declined: 'card-declined' }],
  ['tok_insufficient_funds', { declined: 'insufficient-funds' }],
  ['tok_timeout', { late: true }],
  ['tok_flaky', { failures: 2 }],
  ['tok_commit_then_drop', { drops: true }],
]);
