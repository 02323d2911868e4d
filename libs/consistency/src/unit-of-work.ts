import {
  platformRejection,
  type AnyCommand,
  type AnyContract,
  type AnyEvent,
  type Message,
} from '@jogakbo/contract';
import { getSubject, MessageContext, type Spans } from '@jogakbo/messaging';
import type { ClientBase } from 'pg';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { InboxRecord, lockSubjectSql } from './inbox.ts';
import { noMessages, toOutboxRow, writeOutbox, type NewOutboxRow, type PendingMessages } from './outbox.ts';
import type { StorageEncryption } from './storage-encryption.ts';

/**
 * Runs a service's own handlers for one of its messages, in the unit of work that sends it: the context (`contract`,
 * `incoming`, `input`, caller) stays that of the message that began the unit.
 */
export type Dispatch = (contract: AnyContract, data: unknown, context: MessageContext) => Promise<unknown>;

export interface WorkOptions {
  service: string;
  dataSource: DataSource;
  /** Encrypts the stored data of sensitive messages. */
  encryption: StorageEncryption;
  dispatch: Dispatch;
  spans?: Spans | undefined;
  /** @throws Error unless the service may send or publish the message */
  assertDeclared?: (contract: AnyContract) => void;
}

/**
 * Handles one message in one transaction. Changes (`tx`), events (`publish`), commands (`send`, `publishLater`) and the
 * inbox record are committed together, or not at all.
 *
 * The transaction begins with the first use of `tx`: a handler that first calls other services holds no connection
 * meanwhile. Messages to the service itself are handled within the same transaction.
 *
 * BEGIN, the inbox record and the first statement are sent together, so statements of the handler may run for a duplicate
 * message, before that is known. They are rolled back.
 */
export class UnitOfWork extends MessageContext {
  /**
   * The transaction of this unit. Its statements run one after the other, in the order in which they are sent; there is one
   * connection, so `Promise.all` only saves round trips.
   */
  readonly tx: EntityManager;
  readonly #runner: QueryRunner;
  /** Runs in the transaction, which it begins if necessary. */
  readonly #query: QueryRunner['query'];
  readonly #options: WorkOptions;
  readonly #inbox: InboxRecord;
  readonly #subject: string | undefined;
  // A unit is idle, then connects, begins (BEGIN and the inbox record), works, and is over.
  #connected: Promise<ClientBase> | undefined;
  /** Rejected for a duplicate message. */
  #begun: Promise<void> | undefined;
  /** Set while it works: PostgreSQL has reported that the message is new. */
  #workingConnection: ClientBase | undefined;
  #isOver = false;
  /** Sent while it works: each is in the pipeline as soon as `write` returns. */
  readonly #writes: Promise<unknown>[] = [];
  /** Sent earlier: each waits for the connection, and may not be in the pipeline yet. */
  readonly #writesBeforeBegin: Promise<unknown>[] = [];
  /** The first failed statement. PostgreSQL rejects all later ones (25P02). */
  #failure: unknown;
  #outgoing: { message: Message; delay?: number }[] = [];

  /** @param subject by default that of the message */
  constructor(
    { contract, incoming, input }: MessageContext,
    options: WorkOptions,
    subject: string | undefined = getSubject(contract, input),
  ) {
    super(contract, incoming, input);
    this.#options = options;
    this.#inbox = new InboxRecord(this, options.encryption);
    this.#subject = subject;
    this.#runner = options.dataSource.createQueryRunner();
    const query = this.#runner.query.bind(this.#runner);
    // TypeORM would otherwise wrap single saves in transactions of their own.
    (this.#runner as { isTransactionActive: boolean }).isTransactionActive = true;
    this.#query = (async (...args: Parameters<QueryRunner['query']>) => {
      this.#assertActive();
      const connection = await this.#connect();
      this.#assertActive();
      this.#begun ??= this.#begin(connection);
      // Sent after BEGIN without waiting for its result: the work for a duplicate message is rolled back.
      const sent = query(...args).catch((error: unknown) => this.#fail(error)) as Promise<unknown>;
      const [result] = await Promise.all([sent, this.#begun]);
      return result;
    }) as QueryRunner['query'];
    this.#runner.query = (async (...args: Parameters<QueryRunner['query']>) =>
      this.#query(...args).catch(async (error: unknown) => {
        await Promise.allSettled([...this.#writesBeforeBegin, ...this.#writes]);
        throw this.#findCause(error);
      })) as QueryRunner['query'];
    this.tx = this.#runner.manager;
  }

  /**
   * Writes without waiting: the statement is sent now, in order, and the commit waits for its result. An error is thrown
   * by the commit, or by an earlier read.
   * @param explain converts PostgreSQL's error to the one that is thrown
   */
  readonly write = (text: string, parameters: unknown[], explain = (error: Error) => error): void => {
    this.#assertActive();
    const connection = this.#workingConnection;
    const sent: Promise<unknown> = connection?.query(text, parameters) ?? this.#query(text, parameters);
    const written = sent.catch((error: Error) => this.#fail(explain(error)));
    written.catch(() => {}); // the commit reports it
    (connection ? this.#writes : this.#writesBeforeBegin).push(written);
  };

  #fail(error: unknown): never {
    if (!isAborted(error)) this.#failure = error;
    throw error;
  }

  /** After a failed statement PostgreSQL rejects all others: returns the error of the first one. */
  #findCause(error: unknown): unknown {
    return isAborted(error) ? (this.#failure ?? error) : error;
  }

  // These functions are properties, so that handlers can destructure the unit of work.

  /** Publishes an event of the service after the commit. @throws Error at once for an event of another service */
  readonly publish = (message: Message<AnyEvent>): void => this.#enqueue({ message });

  /**
   * Sends a command after the commit, without waiting for its result.
   * @throws Error at once if the service does not declare the call
   */
  readonly send = (message: Message<AnyCommand>): void => this.#enqueue({ message });

  /**
   * Sends a command later, once, also across restarts.
   * @param delay milliseconds from the commit, by the clock of the database; 0 means as soon as possible. An absolute
   * time could be hours late, because the clock of this process may be wrong.
   * @throws Error for an event: later events of its subject would overtake it
   */
  readonly publishLater = (message: Message<AnyCommand>, delay: number): void => {
    const { kind, name } = message.contract as AnyContract;
    if (kind === 'event')
      throw new Error(
        `the event ${name} cannot be published later, because events of its subject would overtake it: send a command later whose handler publishes it`,
      );
    this.#enqueue({ message, delay });
  };

  /**
   * Locks a subject, or any other name: other units of work that lock it wait for the end of this one, in all instances.
   * Every unit locks the subject of its message first, so that all wait in the same order. For that subject, this returns at
   * once: the lock is taken with the first statement.
   */
  readonly lock = async (subject: string): Promise<void> => {
    if (subject !== this.#subject) await this.tx.query(lockSubjectSql('$1'), [subject]);
  };

  /** Reads what the lock of a subject protects: sends both at once, and PostgreSQL runs them in this order. */
  readonly lockThen = async <T>(subject: string, read: () => Promise<T>): Promise<T> => {
    const [, found] = await Promise.all([this.lock(subject), read()]);
    return found;
  };

  #enqueue(outgoing: { message: Message; delay?: number }): void {
    this.#assertActive();
    this.#options.assertDeclared?.(outgoing.message.contract);
    this.#outgoing.push(outgoing);
  }

  /** Guards against unawaited work that would run after the transaction has ended. */
  #assertActive(): void {
    if (this.#isOver) throw new Error(`the unit of work of ${this.contract.name} is over: await all work`);
  }

  /** Takes one round trip: PostgreSQL runs the statements sent after BEGIN within the transaction. */
  async #begin(connection: ClientBase): Promise<void> {
    const [, isNew] = await Promise.all([
      connection.query('BEGIN'),
      this.#inbox.insert(connection, this.#subject),
    ]);
    if (isNew) {
      this.#workingConnection = connection;
      return;
    }
    // A statement of the handler may have failed meanwhile: then PostgreSQL rejects the next one.
    this.#isOver = true;
    await connection.query('ROLLBACK');
    await this.assertNew();
    throw platformRejection('idempotency-key-in-flight', 'a request with this key is still in progress');
  }

  /**
   * Checks whether the message was handled before. Begins no transaction, and keeps no connection.
   * @throws DuplicateMessage with the first answer
   * @throws Rejection `idempotency-key-reused` if the key came with another input
   */
  async assertNew(): Promise<void> {
    const connection = await this.#connected;
    await this.#inbox.assertNew(async (text, values) =>
      connection ? (await connection.query(text, values)).rows : this.#options.dataSource.query(text, values),
    );
  }

  /**
   * Handles own commands and own events, writes to the outbox own events and the messages for other services, and commits.
   * @returns the messages to publish now
   */
  async commit(answer: unknown): Promise<PendingMessages> {
    const connection = await this.#connect();
    await (this.#begun ??= this.#begin(connection));
    const { encryption, spans } = this.#options;
    const rows: NewOutboxRow[] = [];
    for (let next = this.#outgoing.shift(); next; next = this.#outgoing.shift()) {
      const { message, delay } = next;
      const { contract, data } = message;
      const own = contract.service === this.#options.service && delay === undefined;
      if (contract.kind === 'event' || !own)
        rows.push(toOutboxRow(message, this.incoming.callContext, encryption, rows.length, delay, spans));
      if (own) await this.#options.dispatch(contract, data, this);
    }
    await Promise.all(this.#writesBeforeBegin);
    const writes = [...this.#writes];
    const pending = rows.length > 0 ? writeOutbox(connection, rows) : noMessages;
    writes.push(pending);
    if (this.#inbox.isKept(answer)) writes.push(this.#inbox.keep(answer, connection));
    this.#isOver = true;
    const committed = connection.query('COMMIT');
    for (const result of await Promise.allSettled([...writes, committed])) {
      if (result.status === 'rejected') throw result.reason;
    }
    // After a failed statement COMMIT rolls back without an error.
    if ((await committed).command !== 'COMMIT')
      throw new Error(`${this.contract.name} continued after a failed statement: it was rolled back`);
    await this.#runner.release();
    return pending;
  }

  #connect(): Promise<ClientBase> {
    return (this.#connected ??= this.#runner.connect() as Promise<ClientBase>);
  }

  /**
   * Rolls back.
   * @param error why the unit failed
   * @returns the cause of that error: an earlier failed statement; for a duplicate message DuplicateMessage, whatever the
   *   handler threw
   */
  async rollback(error: unknown): Promise<unknown> {
    this.#isOver = true;
    let cause = this.#findCause(error);
    const connection = await this.#connected?.catch(() => undefined);
    if (this.#begun) {
      await this.#begun.catch((begun: unknown) => (cause = begun));
      await connection?.query('ROLLBACK').catch(() => {});
    }
    await this.#runner.release();
    return cause;
  }
}

/** Whether PostgreSQL rejected a statement because an earlier one of the transaction had failed. */
const isAborted = (error: unknown): boolean => (error as { code?: string } | undefined)?.code === '25P02';
