/** The callee failed. Unlike a rejection, the caller may retry. */
export class RemoteFault extends Error {
  override readonly name = 'RemoteFault';
  readonly code: string;
  /** True if the callee itself reported the fault: it is reachable. */
  readonly answered: boolean;
  constructor(code: string, message: string, answered = false) {
    super(message);
    this.code = code;
    this.answered = answered;
  }
}

/** The `BrokerUnavailable` of the publisher, as a caller of `ask` sees it. Reveals nothing about the callee. */
export class BrokerDisconnected extends RemoteFault {
  constructor(message: string) {
    super('unavailable', message);
  }
}
