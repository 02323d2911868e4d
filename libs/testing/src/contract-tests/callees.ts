import { platformRejections, Rejection, type AnyRequest } from '@jogakbo/contract';
import fc from 'fast-check';
import { z } from 'zod';
import type { ServiceUnderTest } from '../service-under-test.ts';
import type { Stub, StubContext } from '../stubs.ts';
import { generateFitting } from './generated-input.ts';

/** The stub of another service answers: any output, only required fields, or a rejection with this code. */
export type CallOutcome = 'any output' | 'only required fields' | { rejection: string };

/** What a callee can answer by its contract. Every service can answer that something does not exist. */
export const listOutcomes = ({ output, rejections }: AnyRequest): CallOutcome[] => [
  'any output',
  ...(output instanceof z.ZodVoid ? [] : ['only required fields' as const]),
  ...[...Object.keys(rejections), 'not-found'].map((rejection) => ({ rejection })),
];

export const formatOutcome = (outcome: CallOutcome): string =>
  typeof outcome === 'string' ? outcome : `the rejection ${outcome.rejection}`;

/** Number of different outputs per request. */
const outputs = 40;

/** Stubs of all services that a service calls. By default they answer as `stubs` says, else any output. */
export class Callees {
  readonly #stubs: readonly Stub[];
  readonly #outputs = new Map<string, unknown[]>();
  readonly #counts = new Map<string, number>();
  readonly #outcomes = new Map<AnyRequest, CallOutcome>();
  readonly #awaited = new Set<AnyRequest>();
  readonly #seed: number;

  constructor(stubs: readonly Stub[], seed: number) {
    this.#stubs = stubs;
    this.#seed = seed;
  }

  async start(service: ServiceUnderTest, calls: readonly AnyRequest[]): Promise<void> {
    for (const [name, requests] of Map.groupBy(calls, ({ service: callee }) => callee))
      await service.stub(
        name,
        requests.map((contract) => [
          contract,
          (input: unknown, { isAwaited }) => {
            if (isAwaited) this.#awaited.add(contract);
            return this.#answer(service, contract, input);
          },
        ]),
      );
  }

  /** Whether the service has waited for an answer: if not, answers have no effect. */
  isAwaited(contract: AnyRequest): boolean {
    return this.#awaited.has(contract);
  }

  /** Runs `work` while a request has one outcome. */
  async withOutcome<T>(contract: AnyRequest, outcome: CallOutcome, work: () => Promise<T>): Promise<T> {
    this.#outcomes.set(contract, outcome);
    try {
      return await work();
    } finally {
      this.#outcomes.delete(contract);
    }
  }

  async #answer(service: ServiceUnderTest, contract: AnyRequest, input: unknown): Promise<unknown> {
    const outcome = this.#outcomes.get(contract);
    if (typeof outcome === 'object') throw this.#reject(contract, outcome.rejection);
    const stub = outcome ? undefined : this.#stubs.find((one) => one.contract === contract);
    if (!stub) return this.#pickOutput(contract, outcome === 'only required fields');
    const publish: StubContext['publish'] = (message) =>
      void service.announce(message).catch(() => undefined);
    return stub.answer(input, { publish });
  }

  #reject({ rejections }: AnyRequest, code: string): Rejection {
    const status = rejections[code] ?? (platformRejections as Record<string, number>)[code];
    return new Rejection(code, status ?? 422);
  }

  #pickOutput(contract: AnyRequest, plain: boolean): unknown {
    const key = `${contract.name} ${plain}`;
    let made = this.#outputs.get(key);
    if (!made) {
      const arbitrary = generateFitting(contract.output, { known: {}, plain });
      this.#outputs.set(key, (made = fc.sample(arbitrary, { seed: this.#seed, numRuns: outputs })));
    }
    const count = this.#counts.get(key) ?? 0;
    this.#counts.set(key, count + 1);
    return made[count % outputs];
  }
}
