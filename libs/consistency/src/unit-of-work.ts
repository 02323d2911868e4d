import { randomUUIDv7 } from 'node:crypto';
import {
  platformRejection,
  replaceFields,
  type AnyCommand,
  type AnyContract,
  type AnyEvent,
  type Message,
} from '@jogakbo/contract';
import { contextHeaders, MessageContext, getSubject } from '@jogakbo/messaging';
import type { ClientBase } from 'pg';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { inboxKey, type InboxKey } from './inbox-key.ts';
import type { PendingMessages, OutboxRow } from './outbox-relay.ts';
import type { StorageEncryption } from './storage-encryption.ts';

/** Thrown through a handler whose message was handled before; carries what it answered then. */
export class DuplicateMessage extends Error {
  override readonly name = 'AlreadyHandled';
  constructor(readonly answer: unknown) {
    super('this message was handled before');
  }
}

/** Runs the handlers that a service has for one of its own messages. */
export type Dispatch = (contract: AnyContract, data: unknown, context: MessageContext) => Promise<unknown>;

export interface WorkOptions {
  service: string;
  dataSource: DataSource;
  /** For what is kept of sensitive messages. */
  encryption: StorageEncryption;
  dispatch: Dispatch;
  /** What the service may send to others and announce. @throws Error for anything else */
  mustDeclare?: (contract: AnyContract) => void;
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
  /** Within the transaction, which it begins. */
  readonly #query: QueryRunner['query'];
  readonly #options: WorkOptions;
  readonly #inbox: InboxKey;
  readonly #subject: string | undefined;
  #connected: Promise<ClientBase> | undefined;
  #begun: Promise<void> | undefined;
  #over = false;
  #client: ClientBase | undefined;
  /** Sent already, in their order. */
  readonly #writes: Promise<unknown>[] = [];
  /** Behind BEGIN, and perhaps not sent yet. */
  readonly #beginning: Promise<unknown>[] = [];
  /** Why PostgreSQL takes nothing more. */
  #fault: unknown;
  #outgoing: { message: Message; delay?: number }[] = [];

  /** @param subject what it is about; by default what the message is about */
  constructor(
    { contract, incoming, input }: MessageContext,
    options: WorkOptions,
    subject: string | undefined = getSubject(contract, input),
  ) {
    super(contract, incoming, input);
    this.#options = options;
    this.#inbox = inboxKey(this, options.encryption);
    this.#subject = subject;
    this.#runner = options.dataSource.createQueryRunner();
    const query = this.#runner.query.bind(this.#runner);
    // TypeORM would otherwise wrap single saves in transactions of their own.
    (this.#runner as { isTransactionActive: boolean }).isTransactionActive = true;
    this.#query = (async (...args: Parameters<QueryRunner['query']>) => {
      this.#mustGoOn();
      const connection = await this.#connect();
      this.#mustGoOn();
      this.#begun ??= this.#begin(connection);
      // Written behind BEGIN, not after its answer: what is done for a message handled before is rolled back.
      const [result] = await Promise.all([query(...args), this.#begun]);
      return result;
    }) as QueryRunner['query'];
    this.#runner.query = (async (...args: Parameters<QueryRunner['query']>) =>
      this.#query(...args).catch((error: unknown) => this.#blame(error))) as QueryRunner['query'];
    this.tx = this.#runner.manager;
  }

  /**
   * Writes what nobody needs to see before the commit: it is sent now, in its order, and waited for there. What it
   * throws, the commit throws, and so does whatever reads before that.
   * @param explain makes of PostgreSQL's error the one that is thrown
   */
  readonly write = (text: string, parameters: unknown[], explain = (error: Error) => error): void => {
    this.#mustGoOn();
    const sent: Promise<unknown> = this.#client?.query(text, parameters) ?? this.#query(text, parameters);
    const written = sent.catch((error: Error) => {
      throw (this.#fault ??= explain(error));
    });
    written.catch(() => {}); // the commit finds it
    (this.#client ? this.#writes : this.#beginning).push(written);
  };

  /** After a write that failed, PostgreSQL refuses everything: the fault is the write's. */
  async #blame(error: unknown): Promise<never> {
    await Promise.allSettled([...this.#beginning, ...this.#writes]);
    throw this.#fault ?? error;
  }

  /** Announces an event of the service; it leaves with the commit. @throws Error at once where it is another's */
  readonly publish = (message: Message<AnyEvent>): void => this.#leave({ message });

  /**
   * Asks for a change and does not wait; it leaves with the commit.
   * @throws Error at once where the service does not declare that it calls it
   */
  readonly send = (message: Message<AnyCommand>): void => this.#leave({ message });

  /**
   * Sends or announces at a later time, also across restarts, once.
   * @param delay milliseconds by the clock of the database, from the commit; 0 means as soon as possible. A moment by
   * the clock of this process would come hours late where that clock is wrong.
   */
  readonly publishLater = (message: Message<AnyEvent | AnyCommand>, delay: number): void =>
    this.#leave({ message, delay });

  /**
   * Has every other unit of work about this subject wait until this one is over, in whichever instance. What the
   * message is about is held from the beginning: all units take that first, so that they wait in one order.
   */
  async hold(subject: string): Promise<void> {
    if (subject !== this.#subject) await this.tx.query(holdSubject('$1'), [subject]);
  }

  #leave(outgoing: { message: Message; delay?: number }): void {
    this.#mustGoOn();
    this.#options.mustDeclare?.(outgoing.message.contract);
    this.#outgoing.push(outgoing);
  }

  /** Whoever forgot to wait for something would otherwise write outside of the transaction, or into nothing. */
  #mustGoOn(): void {
    if (this.#over) throw new Error(`the unit of work of ${this.contract.name} is over`);
  }

  /** One round trip: PostgreSQL runs what is written behind BEGIN within the transaction. */
  async #begin(connection: ClientBase): Promise<void> {
    const { key, sender, fingerprints } = this.#inbox;
    const [, inserted] = await Promise.all([
      connection.query('BEGIN'),
      connection.query(insertIntoInbox, [key, fingerprints?.[0] ?? null, this.#subject ?? null, sender]),
    ]);
    if (inserted.rowCount === 1) {
      this.#client = connection;
      return;
    }
    await this.mustBeNew();
    throw platformRejection('idempotency-key-in-flight', 'a request with this key is being worked on');
  }

  /**
   * Looks whether the message was handled before. Where nothing has begun, it begins nothing and keeps no connection.
   * @throws AlreadyHandled with the answer given then
   * @throws Rejection `idempotency-key-reused` where the key came with another input
   */
  async mustBeNew(): Promise<void> {
    const { key, sender, fingerprints } = this.#inbox;
    const text = `SELECT fingerprint, answer FROM inbox WHERE key = $1 AND sender IN ($2, '')`;
    const rows: { fingerprint: string | null; answer: unknown }[] = this.#connected
      ? (await (await this.#connected).query(text, [key, sender])).rows
      : await this.#options.dataSource.query(text, [key, sender]);
    const [known] = rows;
    if (!known) return;
    if (fingerprints && !fingerprints.includes(known.fingerprint ?? '')) {
      throw platformRejection('idempotency-key-reused', 'this key was used with another request');
    }
    throw new DuplicateMessage(this.#options.encryption.decrypt(known.answer, `answer ${key}`) ?? undefined);
  }

  /** Hands own messages to own handlers, writes the others to the outbox, and commits. Gives what may leave now. */
  async commit(answer: unknown): Promise<PendingMessages> {
    const connection = await this.#connect();
    await (this.#begun ??= this.#begin(connection));
    const rows: Pending[] = [];
    for (let next = this.#outgoing.shift(); next; next = this.#outgoing.shift()) {
      const { message, delay } = next;
      const { contract, data } = message;
      const own = contract.service === this.#options.service && delay === undefined;
      if (contract.kind === 'event' || !own)
        rows.push({ position: rows.length, delay, ...this.#row(message) });
      if (own) await this.#options.dispatch(contract, data, this);
    }
    await Promise.all(this.#beginning);
    const writes = [...this.#writes];
    const left = rows.length > 0 ? leave(connection, rows) : nothingLeft;
    writes.push(left);
    if (this.#mustKeep(answer)) {
      const { key, sender } = this.#inbox;
      const text = 'UPDATE inbox SET answer = $3 WHERE key = $1 AND sender = $2';
      writes.push(connection.query(text, [key, sender, JSON.stringify(this.#toKeep(answer))]));
    }
    this.#over = true;
    const committed = connection.query('COMMIT');
    for (const result of await Promise.allSettled([...writes, committed])) {
      if (result.status === 'rejected') throw result.reason;
    }
    // After a statement that failed, COMMIT rolls back and is no error.
    if ((await committed).command !== 'COMMIT')
      throw new Error(`${this.contract.name} went on after a statement that had failed: nothing was kept`);
    await this.#runner.release();
    return left;
  }

  /** @throws ZodError where the message breaks its contract: the fault is the sender's and not every receiver's */
  #row({ contract, data }: Message): Omit<OutboxRow, 'id' | 'created_at'> {
    const checked = contract.input.parse(data);
    const messageId = randomUUIDv7();
    // Whoever waits for this message does not wait for those that follow from it, nor stands behind them.
    const { deadline: _deadline, caller: _caller, address: _address, ...context } = this.incoming.context;
    return {
      message_id: messageId,
      kind: contract.kind as OutboxRow['kind'],
      name: contract.name,
      subject: getSubject(contract, checked) ?? null,
      data: this.#toSend(contract, checked, messageId),
      headers: contextHeaders(context),
    };
  }

  /**
   * Data as it lies in the outbox. What is for another service is encrypted for that when it leaves: now its key need not
   * be known. Of an event, what only this service may read leaves as it lies there.
   */
  #toSend(contract: AnyContract, data: unknown, messageId: string): unknown {
    const { encryption } = this.#options;
    if (contract.kind !== 'event')
      return contract.sensitive ? encryption.encrypt(data, `outbox ${messageId}`) : data;
    const { name, sensitiveFields } = contract;
    return replaceFields(data, sensitiveFields, (text) => encryption.encryptText(text, `field of ${name}`));
  }

  #toKeep(answer: unknown): unknown {
    const { contract } = this;
    if (contract.kind === 'event' || !contract.sensitive) return answer;
    return this.#options.encryption.encrypt(answer, `answer ${this.#inbox.key}`);
  }

  #mustKeep(answer: unknown): boolean {
    const { contract } = this;
    if (answer === undefined || contract.kind === 'event') return false;
    return !contract.sensitive || contract.idempotency !== 'none';
  }

  #connect(): Promise<ClientBase> {
    return (this.#connected ??= this.#runner.connect() as Promise<ClientBase>);
  }

  async rollback(): Promise<void> {
    this.#over = true;
    const connection = await this.#connected?.catch(() => undefined);
    if (this.#begun) {
      await this.#begun.catch(() => {});
      await connection?.query('ROLLBACK').catch(() => {});
    }
    await this.#runner.release();
  }
}

/** Apart from the other advisory locks by its seed: nobody can name a thing so that it is in their way. NULL holds nothing. */
const holdSubject = (parameter: string) => `SELECT pg_advisory_xact_lock(hashtextextended(${parameter}, 1))`;

/**
 * A key that a client chose may be in use by a request that runs now: that one is not waited for. Instances of the version
 * before write no sender: see InboxSender1700000000100.
 */
const insertIntoInbox = `
  INSERT INTO inbox (key, fingerprint, sender) SELECT $1, $2, $4 FROM (${holdSubject('$3')}) AS held
  WHERE ($2::text IS NULL OR pg_try_advisory_xact_lock(hashtextextended($1, 0)))
    AND NOT EXISTS (SELECT FROM inbox WHERE key = $1 AND sender = '')
  ON CONFLICT DO NOTHING RETURNING key`;

type Pending = Omit<OutboxRow, 'id' | 'created_at'> & { position: number; delay: number | undefined };

const nothingLeft: Promise<PendingMessages> = Promise.resolve({ rows: [], behind: false });

/** All rows in one statement, numbered in the order in which they were published. What is due is so by the clock of the database. */
const insertIntoOutbox = `
  WITH mine AS (
    INSERT INTO outbox (message_id, kind, name, subject, data, headers, due_at)
    SELECT message_id, kind, name, subject, data, headers, 
      CASE WHEN delay > 0 THEN clock_timestamp() + delay * interval '1 millisecond' END
    FROM json_to_recordset($1) AS row (position int, message_id uuid, kind text, name text, subject text,
      data json, headers json, delay double precision)
    ORDER BY position
    RETURNING id, message_id, created_at, due_at
  )
  SELECT id, message_id, created_at,
    EXISTS (SELECT FROM outbox WHERE published_at IS NULL AND due_at IS NULL) AS behind
  FROM mine WHERE due_at IS NULL ORDER BY id`;

/** Gives those that are not for later. */
async function leave(connection: ClientBase, rows: Pending[]): Promise<PendingMessages> {
  const inserted = await connection.query<
    Pick<OutboxRow, 'id' | 'message_id' | 'created_at'> & { behind: boolean }
  >(insertIntoOutbox, [JSON.stringify(rows)]);
  const written = new Map(rows.map((row) => [row.message_id, row]));
  return {
    rows: inserted.rows.map(({ behind: _, ...row }) => ({ ...written.get(row.message_id)!, ...row })),
    behind: inserted.rows.some(({ behind }) => behind),
  };
}
