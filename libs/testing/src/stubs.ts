import {
  platformRejections,
  Rejection,
  type AnyEvent,
  type AnyRequest,
  type Body,
  type HandlerOutput,
  type Message,
} from '@jogakbo/contract';
import type { z } from 'zod';
import { createExample } from './examples.ts';

/** What the answer of a stub can do besides answering. */
export interface StubContext {
  /** Publishes an event of the stubbed service, as the real service does after the request. */
  publish(message: Message<AnyEvent>): void;
}

/** What a stub answers: the output, a rejection of the contract, or a function that returns or throws one of them. */
export type StubAnswer<C extends AnyRequest> =
  | HandlerOutput<C>
  | Rejection
  | ((
      input: Body<C>,
      context: StubContext,
    ) => HandlerOutput<C> | Rejection | Promise<HandlerOutput<C> | Rejection>);

/** The answer of a stub to one request of another service. */
export interface Stub {
  readonly contract: AnyRequest;
  /** @throws Rejection */
  answer(input: unknown, context: StubContext): Promise<unknown>;
}

/**
 * Declares what a stub answers to a request instead of an example: for `apps/<service>/stubs.ts`, which exports a list of
 * them by default.
 */
export function stub<C extends AnyRequest>(contract: C, answer: StubAnswer<C>): Stub {
  return {
    contract,
    async answer(input, context) {
      const given: unknown =
        typeof answer === 'function'
          ? await (answer as (input: unknown, context: StubContext) => unknown)(input, context)
          : answer;
      if (given instanceof Rejection) throw given;
      return given;
    },
  };
}

/** A stub that answers an example of the output. */
export const stubWithExample = (contract: AnyRequest): Stub =>
  stub(contract, createExample(contract.output, contract.name) as never);

/** A stub that fails: with a rejection of the contract, with a fault, or by answering too late. */
export function stubWithFailure(contract: AnyRequest, failure: string): Stub {
  const { name, rejections } = contract;
  if (failure === 'fault')
    return stub(contract, () => {
      throw new Error(`${name} fails because its stub was set to do so`);
    });
  if (failure === 'timeout') return stub(contract, () => new Promise<never>(() => undefined));
  const status = findStatus(contract, failure);
  if (status === undefined)
    throw new Error(
      `${name} has no rejection ${failure}: use one of ${listCodes(rejections).join(', ')}, fault or timeout`,
    );
  return stub(contract, new Rejection(failure, status));
}

const listCodes = (rejections: AnyRequest['rejections']): string[] => [
  ...Object.keys(rejections),
  ...Object.keys(platformRejections),
];

const findStatus = ({ rejections }: AnyRequest, code: string): number | undefined =>
  rejections[code] ?? (platformRejections as Record<string, number>)[code];

/**
 * Checks stubs before they are used: each one belongs to a wanted request, and its answer to an example of the input fits
 * the contract.
 * @param wanted the requests that can be stubbed
 * @returns one line per problem, with the field
 */
export async function findStubProblems(
  stubs: readonly unknown[],
  wanted: readonly AnyRequest[],
): Promise<string[]> {
  const problems: string[] = [];
  const seen = new Set<AnyRequest>();
  for (const [index, one] of stubs.entries()) {
    if (!isStub(one)) {
      problems.push(`entry ${index} is no stub: write it as stub(Contract, answer)`);
      continue;
    }
    const { contract } = one;
    if (!wanted.some(({ name }) => name === contract.name))
      problems.push(`${contract.name}: the service does not call it, so it is not stubbed`);
    else if (seen.has(contract)) problems.push(`${contract.name} is stubbed twice`);
    else problems.push(...(await findAnswerProblems(one)));
    seen.add(contract);
  }
  return problems;
}

const isStub = (one: unknown): one is Stub =>
  typeof (one as Stub | undefined)?.answer === 'function' &&
  typeof (one as Stub | undefined)?.contract?.name === 'string';

async function findAnswerProblems(one: Stub): Promise<string[]> {
  const { contract } = one;
  const published: Message<AnyEvent>[] = [];
  const input = contract.input.parse(createExample(contract.input, `input of ${contract.name}`)) as unknown;
  const context = { publish: (message: Message<AnyEvent>) => void published.push(message) };
  try {
    const answer = await answerInTime(one, input, context);
    return [
      ...(answer === late ? [] : listIssues(contract.name, contract.output, answer)),
      ...published.flatMap((message) => findEventProblems(contract, message)),
    ];
  } catch (error) {
    if (error instanceof Rejection && findStatus(contract, error.code) !== undefined) return [];
    if (error instanceof Rejection)
      return [
        `${contract.name} has no rejection ${error.code}: use one of ${listCodes(contract.rejections).join(', ')}`,
      ];
    return [
      `${contract.name}: its stub failed for the input ${JSON.stringify(input)}: ${(error as Error).message}`,
    ];
  }
}

/** A stub may answer late on purpose. */
const late = Symbol('late');
const answerTimeoutMs = 500;
const answerInTime = ({ answer }: Stub, input: unknown, context: StubContext): Promise<unknown> =>
  Promise.race([
    answer(input, context),
    new Promise((resolve) => setTimeout(resolve, answerTimeoutMs, late).unref()),
  ]);

function findEventProblems({ name, service }: AnyRequest, { contract, data }: Message<AnyEvent>): string[] {
  if (contract.service !== service)
    return [`${name} publishes ${contract.name}, which is not an event of ${service}`];
  return listIssues(`${name} publishes ${contract.name}`, contract.input, data);
}

/** Problems per stub: a wrong field of an item is wrong in every item. */
const maxIssues = 5;

const listIssues = (where: string, schema: z.ZodType, value: unknown): string[] =>
  (schema.safeParse(value).error?.issues ?? [])
    .slice(0, maxIssues)
    .map(({ path, message }) => `${where}: ${path.length > 0 ? `${path.join('.')}: ` : ''}${message}`);
