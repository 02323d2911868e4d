import { isDeepStrictEqual } from 'node:util';
import type { AnyEvent, Message } from '@jogakbo/contract';
import type { Saga, Step } from '@jogakbo/consistency';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- any saga, whatever its key and state
type AnySaga = Saga<any, any>;

/**
 * Given/when/then for sagas: pure, no database, no broker. `given(checkout, placed).when(reserved).sends('…', {…})`.
 * @param history earlier events, in order; the first one starts the saga
 */
export function given(saga: AnySaga, ...history: Message<AnyEvent>[]) {
  let run: { state: unknown; ended: boolean } | undefined;
  for (const message of history) {
    const { state, ended } = applyEvent(saga, run, message);
    run = { state, ended };
  }
  return {
    when: (message: Message<AnyEvent>) => new Then(applyEvent(saga, run, message)),
    whenTimeIsUp: (key: Record<string, string>) => {
      const transition = saga.timeout?.transition as
        ((key: unknown, state: unknown) => Step<unknown>) | undefined;
      return new Then(!transition || run?.ended ? keepState(run) : transition(key, run?.state));
    },
  };
}

const keepState = (run: { state: unknown; ended: boolean } | undefined): Step<unknown> => ({
  state: run?.state,
  messages: [],
  ended: run?.ended ?? false,
});

function applyEvent(
  saga: AnySaga,
  run: { state: unknown; ended: boolean } | undefined,
  message: Message<AnyEvent>,
) {
  const { contract } = message;
  const data = contract.input.parse(message.data) as never;
  if (!run) {
    if (contract.name !== saga.start.event.name)
      throw new Error(
        `saga ${saga.name} does not start with ${contract.name}: the first event must be ${saga.start.event.name}`,
      );
    return saga.start.transition(data, undefined as never);
  }
  const found = saga.transitions.get(contract.name);
  if (run.ended || !found) return keepState(run);
  const step = found.transition(data, run.state as never);
  return { ...step, state: step.state ?? run.state };
}

/** The result of a step; every method throws if its expectation fails. */
class Then {
  #unmatched: Message[];

  constructor(private readonly step: Step<unknown>) {
    this.#unmatched = [...step.messages];
  }

  /** Expects exactly this command; further calls expect further commands. */
  sends(name: string, data: unknown): this {
    const index = this.#unmatched.findIndex(
      (one) => one.contract.name === name && isDeepStrictEqual(one.data, data),
    );
    if (index < 0)
      throw new Error(
        `expected ${name} ${JSON.stringify(data)} to be sent; sent: ${JSON.stringify(this.#sent)}`,
      );
    this.#unmatched.splice(index, 1);
    return this;
  }

  sendsNothing(): this {
    if (this.#unmatched.length > 0)
      throw new Error(`expected no further messages; sent: ${JSON.stringify(this.#sent)}`);
    return this;
  }

  /** Expects the end of the saga, and no further messages. */
  ends(): void {
    if (!this.step.ended) throw new Error('expected the saga to end');
    this.sendsNothing();
  }

  get #sent() {
    return this.#unmatched.map(({ contract, data }) => [contract.name, data]);
  }
}
