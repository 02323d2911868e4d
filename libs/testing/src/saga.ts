import { isDeepStrictEqual } from 'node:util';
import type { AnyEvent, Message } from '@jogakbo/contract';
import type { Saga, Step } from '@jogakbo/consistency';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- any saga, whatever its key and state
type AnySaga = Saga<any, any>;

/**
 * Given/when/then for sagas: pure, no database, no broker. `given(checkout, placed).when(reserved).sends('…', {…})`.
 * @param history what happened before, in order; the first is what starts the saga
 */
export function given(saga: AnySaga, ...history: Message<AnyEvent>[]) {
  let run: { state: unknown; ended: boolean } | undefined;
  for (const message of history) {
    const { state, ended } = take(saga, run, message);
    run = { state, ended };
  }
  return {
    when: (message: Message<AnyEvent>) => new Then(take(saga, run, message)),
    whenTimeIsUp: (key: Record<string, string>) => {
      const transition = saga.timeout?.transition as
        ((key: unknown, state: unknown) => Step<unknown>) | undefined;
      return new Then(!transition || run?.ended ? nothing(run) : transition(key, run?.state));
    },
  };
}

const nothing = (run: { state: unknown; ended: boolean } | undefined): Step<unknown> => ({
  state: run?.state,
  messages: [],
  ended: run?.ended ?? false,
});

function take(
  saga: AnySaga,
  run: { state: unknown; ended: boolean } | undefined,
  message: Message<AnyEvent>,
) {
  const { contract } = message;
  const data = contract.input.parse(message.data) as never;
  if (!run) {
    if (contract.name !== saga.start.event.name)
      throw new Error(`saga ${saga.name} does not begin with ${contract.name}`);
    return saga.start.transition(data, undefined as never);
  }
  const found = saga.transitions.get(contract.name);
  if (run.ended || !found) return nothing(run);
  const step = found.transition(data, run.state as never);
  return { ...step, state: step.state ?? run.state };
}

/** What a step did; every method throws where it is not so. */
class Then {
  #open: Message[];

  constructor(private readonly step: Step<unknown>) {
    this.#open = [...step.messages];
  }

  /** Exactly this command is sent, among others that are named by further calls. */
  sends(name: string, data: unknown): this {
    const index = this.#open.findIndex(
      (one) => one.contract.name === name && isDeepStrictEqual(one.data, data),
    );
    if (index < 0)
      throw new Error(`not sent: ${name} ${JSON.stringify(data)}; but: ${JSON.stringify(this.#sent)}`);
    this.#open.splice(index, 1);
    return this;
  }

  sendsNothing(): this {
    if (this.#open.length > 0) throw new Error(`sent: ${JSON.stringify(this.#sent)}`);
    return this;
  }

  /** The saga has ended, and nothing was sent beyond what was named. */
  ends(): void {
    if (!this.step.ended) throw new Error('the saga goes on');
    this.sendsNothing();
  }

  get #sent() {
    return this.#open.map(({ contract, data }) => [contract.name, data]);
  }
}
