import { platformRejection, type AnyContract } from '@jogakbo/contract';
import type { z } from 'zod';
import type { MessageContext } from './message-context.ts';
import type { HandledNames } from './topology.ts';

export type Handler = (data: unknown, context: MessageContext) => Promise<unknown>;

/** The handlers of a service, by the name of their contract. An event may have several, a request has one. */
export class HandlerTable {
  readonly #entries = new Map<string, { contract: AnyContract; handlers: Handler[] }>();

  /** @throws Error if the contract is a request that has a handler: only one output can be the answer */
  add(contract: AnyContract, handler: Handler): void {
    const entry = this.#entries.get(contract.name);
    if (entry && contract.kind !== 'event') throw new Error(`${contract.name} has more than one handler`);
    if (entry) entry.handlers.push(handler);
    else this.#entries.set(contract.name, { contract, handlers: [handler] });
  }

  /** The contract of this name; undefined if the service does not handle it. */
  getContract(name: string): AnyContract | undefined {
    return this.#entries.get(name)?.contract;
  }

  get contracts(): AnyContract[] {
    return [...this.#entries.values()].map(({ contract }) => contract);
  }

  isQuery(name: string): boolean {
    return this.getContract(name)?.kind === 'query';
  }

  /**
   * Runs the handlers of a contract one after the other.
   * @param input parsed with the contract's schema
   * @returns the output of the handler of a request: it has only one
   */
  async run({ name }: AnyContract, input: unknown, context: MessageContext): Promise<unknown> {
    let output: unknown;
    for (const handle of this.#entries.get(name)?.handlers ?? []) output = await handle(input, context);
    return output;
  }

  /** The names that the service consumes. It handles its own events where it publishes them. */
  listNames(service: string): HandledNames {
    const listNames = (kind: AnyContract['kind']) =>
      this.contracts
        .filter((contract) => contract.kind === kind)
        .filter((contract) => kind !== 'event' || contract.service !== service)
        .map(({ name }) => name);
    return { commands: listNames('command'), queries: listNames('query'), events: listNames('event') };
  }
}

/** Parses the input of a handler. @throws Rejection `invalid`, with each invalid or unknown field */
export function parseInput(schema: z.ZodType, data: unknown): unknown {
  const result = schema.safeParse(data ?? {});
  if (result.success) return result.data;
  throw platformRejection(
    'invalid',
    'the input does not fit the contract',
    result.error.issues.flatMap((issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => ({ path: [...issue.path, key].join('.'), message: 'unknown field' }))
        : [{ path: issue.path.join('.'), message: issue.message }],
    ),
  );
}
