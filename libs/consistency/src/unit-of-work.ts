import { createHash, randomUUIDv7 } from 'node:crypto';
import {
  platformRejection,
  type AnyCommand,
  type AnyContract,
  type AnyEvent,
  type Message,
} from '@jogakbo/contract';
import { contextHeaders, MessageContext, subjectOf, type Incoming } from '@jogakbo/messaging';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';

/** Thrown through a handler whose message was handled before; carries what it answered then. */
export class AlreadyHandled extends Error {
  override readonly name = 'AlreadyHandled';
  constructor(readonly answer: unknown) {
    super('this message was handled before');
  }
}

interface InboxKey {
  key: string;
  /** Of the input, where the key was chosen by a client and could be used for something else. */
  fingerprint?: string;
}

/** Runs the handlers that a service has for one of its own messages. */
export type Dispatch = (contract: AnyContract, data: unknown, context: MessageContext) => Promise<unknown>;

export interface WorkOptions {
  service: string;
  dataSource: DataSource;
  dispatch: Dispatch;
}

/**
 * One message, one transaction. What a handler changes (`tx`), what it announces (`publish`), what it asks of others
 * (`send`, `publishLater`) and the fact that the message was handled become true together, or not at all.
 *
 * The transaction begins with the first use of `tx`: a handler that first asks other services holds no connection
 * while it waits for them. Messages to the service itself are handled within the same transaction.
 */
export class UnitOfWork extends MessageContext {
  /** The transaction. Everything read or written through it belongs to this unit. */
  readonly tx: EntityManager;
  readonly #runner: QueryRunner;
  readonly #raw: QueryRunner['query'];
  readonly #options: WorkOptions;
  readonly #inbox: InboxKey;
  #begun: Promise<void> | undefined;
  #outgoing: { message: Message; dueAt?: Date }[] = [];

  constructor(contract: AnyContract, incoming: Incoming, options: WorkOptions) {
    super(contract, incoming);
    this.#options = options;
    this.#inbox = inboxKey(contract, incoming);
    this.#runner = options.dataSource.createQueryRunner();
    this.#raw = this.#runner.query.bind(this.#runner);
    // TypeORM would otherwise wrap single saves in transactions of their own.
    (this.#runner as { isTransactionActive: boolean }).isTransactionActive = true;
    this.#runner.query = (async (...args: Parameters<QueryRunner['query']>) => {
      await (this.#begun ??= this.#begin());
      return this.#raw(...args);
    }) as QueryRunner['query'];
    this.tx = this.#runner.manager;
  }

  /** Announces an event; it leaves with the commit. */
  readonly publish = (message: Message<AnyEvent>): void => {
    this.#outgoing.push({ message });
  };

  /** Asks for a change and does not wait; it leaves with the commit. */
  readonly send = (message: Message<AnyCommand>): void => {
    this.#outgoing.push({ message });
  };

  /**
   * Sends or announces at a later time, also across restarts, once.
   * @param dueAt not before this; usually within a second after
   */
  readonly publishLater = (message: Message<AnyEvent | AnyCommand>, dueAt: Date): void => {
    this.#outgoing.push({ message, dueAt });
  };

  async #begin(): Promise<void> {
    await this.#raw('BEGIN');
    const { key, fingerprint } = this.#inbox;
    if (fingerprint) {
      const [{ free }] = (await this.#raw(
        'SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS free',
        [key],
      )) as [{ free: boolean }];
      if (!free)
        throw platformRejection('idempotency-key-in-flight', 'a request with this key is being worked on');
    }
    const inserted = (await this.#raw(
      'INSERT INTO inbox (key, fingerprint) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING key',
      [key, fingerprint ?? null],
    )) as unknown[];
    if (inserted.length === 0) await this.mustBeNew();
  }

  /**
   * Looks whether the message was handled before, without beginning anything.
   * @throws AlreadyHandled with the answer given then
   * @throws Rejection `idempotency-key-reused` where the key came with another input
   */
  async mustBeNew(): Promise<void> {
    const { key, fingerprint } = this.#inbox;
    const [known] = (await this.#raw('SELECT fingerprint, answer FROM inbox WHERE key = $1', [key])) as {
      fingerprint: string | null;
      answer: unknown;
    }[];
    if (!known) return;
    if (fingerprint && known.fingerprint !== fingerprint) {
      throw platformRejection('idempotency-key-reused', 'this key was used with another request');
    }
    throw new AlreadyHandled(known.answer ?? undefined);
  }

  /** Hands own messages to own handlers, writes the others to the outbox, and commits. Gives the number written. */
  async commit(answer: unknown): Promise<number> {
    await (this.#begun ??= this.#begin());
    let written = 0;
    for (let next = this.#outgoing.shift(); next; next = this.#outgoing.shift()) {
      const { message, dueAt } = next;
      const { contract, data } = message;
      const own = contract.service === this.#options.service && !dueAt;
      if (contract.kind === 'event' || !own) {
        await this.#writeToOutbox(message, dueAt);
        written++;
      }
      if (own) await this.#options.dispatch(contract, data, this);
    }
    const { contract } = this;
    if (answer !== undefined && contract.kind !== 'event' && !contract.sensitive) {
      await this.#raw('UPDATE inbox SET answer = $2 WHERE key = $1', [
        this.#inbox.key,
        JSON.stringify(answer),
      ]);
    }
    await this.#raw('COMMIT');
    await this.#runner.release();
    return written;
  }

  async #writeToOutbox({ contract, data }: Message, dueAt: Date | undefined): Promise<void> {
    // Checked before it leaves, so that the fault is the sender's and not every receiver's.
    const checked = contract.input.parse(data);
    await this.#raw(
      `INSERT INTO outbox (message_id, kind, name, subject, data, headers, due_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
      [
        randomUUIDv7(),
        contract.kind,
        contract.name,
        subjectOf(contract, checked) ?? null,
        JSON.stringify(checked),
        // Whoever waits for this message does not wait for those that follow from it.
        JSON.stringify(
          contextHeaders({ ...this.incoming.context, deadline: undefined, caller: undefined } as never),
        ),
        dueAt ?? null,
      ],
    );
  }

  async rollback(): Promise<void> {
    if (this.#begun) {
      await this.#begun.catch(() => {});
      await this.#raw('ROLLBACK').catch(() => {});
    }
    await this.#runner.release();
  }
}

/** What makes a message the same message: the client's Idempotency-Key, within one member and contract, or its id. */
function inboxKey(contract: AnyContract, incoming: Incoming): InboxKey {
  const { idempotencyKey, messageId, context, data } = incoming;
  if (!idempotencyKey || contract.kind === 'event' || contract.idempotency === 'none')
    return { key: messageId };
  const key = `${contract.name} ${context.caller?.memberId ?? 'anyone'} ${idempotencyKey}`;
  return { key, fingerprint: createHash('sha256').update(canonical(data)).digest('base64url') };
}

/** JSON with sorted keys: the same input gives the same text, however a client orders its fields. */
const canonical = (data: unknown): string =>
  JSON.stringify(data, (_, value: unknown) =>
    value && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
