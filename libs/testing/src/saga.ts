import { isDeepStrictEqual } from 'node:util';
import type { AnyCommand, AnyEvent, Message } from '@jogakbo/contract';
import type { Saga, Step } from '@jogakbo/consistency';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- any saga, whatever its key and state
type AnySaga = Saga<any, any>;

type Received = Message<AnyEvent | AnyCommand>;

/**
 * Given/when/then for sagas: pure, no database, no broker. `given(lending, start).when(reserved).sends(SendReminder({…}))`.
 * @param history earlier messages, in order; the first one starts the saga
 */
export function given(saga: AnySaga, ...history: Received[]) {
  let run: { state: unknown; ended: boolean } | undefined;
  for (const message of history) {
    const { state, ended } = applyEvent(saga, run, message);
    run = { state, ended };
  }
  return {
    when: (message: Received) => new Then(applyEvent(saga, run, message)),
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

function applyEvent(saga: AnySaga, run: { state: unknown; ended: boolean } | undefined, message: Received) {
  const { contract } = message;
  const data = contract.input.parse(message.data) as never;
  if (!run) {
    if (contract.name !== saga.start.contract.name)
      throw new Error(
        `saga ${saga.name} does not start with ${contract.name}: the first message must be ${saga.start.contract.name}`,
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
  constructor(private readonly step: Step<unknown>) {}

  /** Expects exactly these commands, in any order. */
  sends(...expected: Message<AnyCommand>[]): this {
    const unexpected = [...this.step.messages];
    for (const command of expected) {
      const index = unexpected.findIndex((sent) => isSame(sent, command));
      if (index < 0) throw new Error(`expected ${toText([command])} to be sent; sent: ${this.#sent}`);
      unexpected.splice(index, 1);
    }
    if (unexpected.length > 0)
      throw new Error(`expected no further commands than these; also sent: ${toText(unexpected)}`);
    return this;
  }

  sendsNothing(): this {
    return this.sends();
  }

  /** Expects the end of the saga. */
  ends(): this {
    if (!this.step.ended) throw new Error(`expected the saga to end; sent: ${this.#sent}`);
    return this;
  }

  get #sent(): string {
    return toText(this.step.messages);
  }
}

const isSame = (one: Message, other: Message): boolean =>
  one.contract === other.contract && isDeepStrictEqual(one.data, other.data);

const toText = (messages: readonly Message[]): string =>
  messages.map(({ contract, data }) => `${contract.name} ${JSON.stringify(data)}`).join(', ') || 'nothing';
