import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  getRequiredRole,
  Rejection,
  type AnyCommand,
  type AnyEvent,
  type AnyRequest,
} from '@jogakbo/contract';
import { listHandledEvents, serviceOptions, type StartOptions } from '@jogakbo/service';
import type { Type } from '@nestjs/common';
import fc from 'fast-check';
import { z } from 'zod';
import { Callees, formatOutcome, listOutcomes, type CallOutcome } from './contract-tests/callees.ts';
import { generateFitting, generateNearMiss } from './contract-tests/generated-input.ts';
import {
  countHandled,
  describeUndeclared,
  isPlatformRejection,
  waitUntilIdle,
} from './contract-tests/handled-messages.ts';
import { eventually } from './eventually.ts';
import { ServiceUnderTest, type RequestOptions } from './service-under-test.ts';
import type { Stub } from './stubs.ts';

export interface ContractTestOptions {
  /** Settings of the service, by their environment names. */
  environment?: NodeJS.ProcessEnv;
  start?: Omit<StartOptions, 'environment'>;
  /** Answers of other services with which the operations get far; by default generated ones. */
  stubs?: readonly Stub[];
  /** Values that the service accepts, by the name of their field. */
  known?: Readonly<Record<string, readonly unknown[]>>;
  /** Requests that the service sends to itself, with data that refers to its own state: no valid input is generated. */
  internal?: readonly AnyRequest[];
  /** Creates data. */
  prepare?: (service: ServiceUnderTest) => Promise<void>;
}

const isFull = Boolean(process.env['TEST_FULL']);
const seed = Number(process.env['RANDOM_SEED'] ?? 20_261_122);
/** Generated messages per operation or event. */
const runs = Number(process.env['RANDOM_REQUESTS'] ?? (isFull ? 200 : 8));
/** Milliseconds for the messages of one operation. */
const timeLimitMs = isFull ? 20_000 : 250;
/** Kept values per field. */
const maxKnown = 8;

/**
 * Defines the jest tests of both sides of a service's contracts, generated from the contracts. Real broker and database.
 *
 * - As a provider: every operation answers generated valid input with a valid output or a declared rejection, and rejects
 *   invalid input with `invalid` and the field.
 * - As a consumer: the service handles every event that it subscribes to, and works while a callee answers any output, only
 *   the required fields, or any declared rejection. Nothing becomes a dead letter that its contract does not permit.
 *
 * A failure names the seed: RANDOM_SEED repeats it. RANDOM_REQUESTS sets the number of messages per operation.
 */
export function contractTests(module: Type, options: ContractTestOptions = {}): void {
  const { contract, calls = [] } = serviceOptions(module);
  const { internal = [] } = options;
  const requests = [...contract.contracts.values()].filter((one) => one.kind !== 'event');
  const external = requests.filter((one) => !internal.includes(one));
  const events = listHandledEvents(serviceOptions(module)).filter(({ service }) => service !== contract.name);
  describe(`the contracts of ${contract.name} (RANDOM_SEED=${seed})`, () => {
    const tested = new TestedService(module, options);
    beforeAll(() => tested.start(calls), 60_000);
    afterAll(() => tested.stop());

    for (const request of external)
      it(`${request.name} answers valid input as declared`, () => tested.checkAnswers(request));
    for (const request of requests)
      it(`${request.name} rejects invalid input`, () => tested.checkInvalidInput(request));
    for (const event of new Set(events)) it(`handles ${event.name}`, () => tested.checkEvent(event));
    for (const call of calls)
      it.each(listOutcomes(call).map((outcome) => [formatOutcome(outcome), outcome] as const))(
        `works while ${call.name} answers %s`,
        (_text, outcome) => tested.checkWhile(call, outcome, external),
      );
    it('leaves no dead letter that is not declared', () => tested.checkDeadLetters());
  });
}

/** A service whose answers are checked against its contract. */
class TestedService {
  readonly callees: Callees;
  /** Grows with the answers of the service, so that later requests refer to what exists. */
  readonly #known: Record<string, unknown[]> = {};
  readonly #memberId = randomUUID();
  #faults = 0;
  #service: ServiceUnderTest | undefined;

  private readonly module: Type;
  private readonly options: ContractTestOptions;

  constructor(module: Type, options: ContractTestOptions) {
    this.module = module;
    this.options = options;
    this.callees = new Callees(options.stubs ?? [], seed);
    for (const [name, values] of Object.entries(options.known ?? {})) this.#known[name] = [...values];
  }

  get service(): ServiceUnderTest {
    return this.#service!;
  }

  async start(calls: readonly AnyRequest[]): Promise<void> {
    const { environment, start, prepare } = this.options;
    this.#service = await ServiceUnderTest.start(
      this.module,
      // Short: tests wait for the end of failed messages.
      { RETRY_DELAYS: '20', ...environment },
      start,
    );
    await this.callees.start(this.service, calls);
    await prepare?.(this.service);
  }

  async stop(): Promise<void> {
    await this.#service?.stop();
  }

  async checkAnswers(contract: AnyRequest, numRuns = runs, plain = false): Promise<void> {
    const valid = generateFitting(contract.input, { known: this.#known, plain });
    const check = isNeverAwaited(contract) ? this.#checkHandling : this.#checkAnswer;
    await this.#check(valid, numRuns, (input) => check(contract, input));
    await this.#checkNewFaults();
  }

  checkInvalidInput(contract: AnyRequest): Promise<void> {
    return this.#check(generateNearMiss(contract.input, this.#known), runs, async (input) => {
      const error = await this.#ask(contract, input).then(
        () => new Error('it was accepted'),
        (error: unknown) => error,
      );
      if (error instanceof Rejection && error.code === 'invalid' && error.errors?.length) return;
      throw new Error(`${contract.name} must reject this input as invalid: ${describeError(error)}`);
    });
  }

  async checkEvent(event: AnyEvent): Promise<void> {
    const valid = generateFitting(event.input, { known: this.#known, plain: false });
    const before = await countHandled(this.service, event);
    for (const data of fc.sample(valid, { seed, numRuns: runs }))
      await this.service.announce({ contract: event, data: event.input.parse(data) });
    await eventually(async () => (await countHandled(this.service, event)) >= before + runs);
    await this.#checkNewFaults();
  }

  /** Calls every operation, with input that gets as far as possible, while a callee has one outcome. */
  async checkWhile(call: AnyRequest, outcome: CallOutcome, requests: readonly AnyRequest[]): Promise<void> {
    if (call.kind === 'command' && !this.callees.isAwaited(call)) return;
    await this.callees.withOutcome(call, outcome, async () => {
      for (const request of requests) await this.checkAnswers(request, isFull ? 20 : 1, true);
    });
  }

  /** Messages that the service sends to itself may fail later: see `checkDeadLetters`. */
  async #checkNewFaults(): Promise<void> {
    const faults = await countHandled(this.service, { outcome: 'fault' });
    if (faults > this.#faults) await this.checkDeadLetters();
  }

  async checkDeadLetters(): Promise<void> {
    await waitUntilIdle(this.service);
    this.#faults = await countHandled(this.service, { outcome: 'fault' });
    const { contract } = serviceOptions(this.module);
    expect(describeUndeclared(contract, await this.service.takeDeadLetters())).toEqual([]);
  }

  /** Checks at least one value, and no more when the time is over. */
  #check(
    arbitrary: fc.Arbitrary<unknown>,
    numRuns: number,
    property: (value: unknown) => Promise<void>,
  ): Promise<void> {
    const until = performance.now() + timeLimitMs;
    let isFirst = true;
    const checked = fc.asyncProperty(arbitrary, async (value) => {
      if (!isFirst && performance.now() > until) return;
      isFirst = false;
      await property(value);
    });
    return fc.assert(checked, { seed, numRuns });
  }

  /** As a saga sends it: without a waiting caller, so that a rejection or a fault becomes a dead letter. */
  #checkHandling = async (contract: AnyRequest, input: unknown): Promise<void> => {
    const before = await countHandled(this.service, contract);
    await this.service.send({ contract: contract as AnyCommand, data: contract.input.parse(input) });
    await eventually(async () => (await countHandled(this.service, contract)) > before);
  };

  #checkAnswer = async (contract: AnyRequest, input: unknown): Promise<void> => {
    try {
      this.#learn(await this.#ask(contract, input));
    } catch (error) {
      const problem = findRejectionProblem(contract, error);
      if (problem) throw new Error(`${contract.name} ${problem}`, { cause: error });
    }
  };

  #ask(contract: AnyRequest, input: unknown): Promise<unknown> {
    const role = contract.access && getRequiredRole(contract.access);
    const as: RequestOptions = {
      caller: {
        memberId: this.#memberId,
        roles: ['member', ...(role ? [role] : [])],
        sessionId: this.#memberId,
        authTime: Math.floor(Date.now() / 1_000),
      },
      ...(contract.idempotency !== 'none' && { idempotencyKey: randomUUID() }),
    };
    return this.service.ask(contract, input as never, as);
  }

  /** Keeps the texts of an answer by the names of their fields. */
  #learn(value: unknown): void {
    if (value === null || typeof value !== 'object') return;
    for (const [name, one] of Object.entries(value)) {
      if (typeof one === 'string' && !Array.isArray(value)) {
        const kept = (this.#known[name] ??= []);
        if (!kept.includes(one)) kept.push(one);
        if (kept.length > maxKnown) kept.shift();
      } else this.#learn(one);
    }
  }
}

/** Whether only sagas and services themselves send it: its sender does not wait. */
const isNeverAwaited = ({ kind, http, pages, output }: AnyRequest): boolean =>
  kind === 'command' && !http && !pages && output instanceof z.ZodVoid;

/** Why an error is not one that the contract declares; undefined if it does. */
function findRejectionProblem(contract: AnyRequest, error: unknown): string | undefined {
  if (!(error instanceof Rejection)) return `failed: ${describeError(error)}`;
  const declared = contract.rejections[error.code];
  if (declared === undefined && !isPlatformRejection(error.code))
    return `rejected valid input with ${error.code}, which it does not declare`;
  if (declared !== undefined && declared !== error.status)
    return `rejected with ${error.code} and status ${error.status}; it declares ${declared}`;
  const members = contract.extensions?.[error.code]?.safeParse(error.extensions);
  return members?.error && `rejected with ${error.code} and invalid members: ${members.error.message}`;
}

const describeError = (error: unknown): string =>
  error instanceof Rejection
    ? `${error.code} ${error.message} ${JSON.stringify(error.errors ?? [])}`
    : `${(error as Error).name}: ${(error as Error).message}`;
