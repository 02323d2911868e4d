import { platformRejection } from '@jogakbo/contract';
import type { MessageContext } from '@jogakbo/messaging';
import type { ClientBase } from 'pg';
import { toInboxKey, type InboxKey } from './inbox-key.ts';
import type { StorageEncryption } from './storage-encryption.ts';

/** Thrown through the handler of a message that was handled before; carries the first answer. */
export class DuplicateMessage extends Error {
  override readonly name = 'DuplicateMessage';
  constructor(readonly answer: unknown) {
    super('this message was handled before');
  }
}

/** Its seed separates these advisory locks from all others, whatever the subject is. NULL locks nothing. */
export const lockSubjectSql = (parameter: string) =>
  `SELECT pg_advisory_xact_lock(hashtextextended(${parameter}, 1))`;

/**
 * Locks the subject, then inserts. Inserts nothing
 * - while a request with the same client key runs: the key of the inbox would make it wait for that request;
 * - for a message that an instance of the version before InboxSender1700000000100 has handled, which wrote no sender;
 * - for a duplicate message.
 */
const insertIntoInboxSql = `
  INSERT INTO inbox (key, fingerprint, sender) SELECT $1, $2, $4 FROM (${lockSubjectSql('$3')}) AS held
  WHERE ($2::text IS NULL OR pg_try_advisory_xact_lock(hashtextextended($1, 0)))
    AND NOT EXISTS (SELECT FROM inbox WHERE key = $1 AND sender = '')
  ON CONFLICT DO NOTHING RETURNING key`;

interface KnownMessage {
  fingerprint: string | null;
  answer: unknown;
}

/** The record of one message in the inbox: its key, and its answer if a repetition must get the same one. */
export class InboxRecord {
  readonly #id: InboxKey;
  readonly #contract: MessageContext['contract'];
  readonly #encryption: StorageEncryption;

  constructor(context: MessageContext, encryption: StorageEncryption) {
    this.#id = toInboxKey(context, encryption);
    this.#contract = context.contract;
    this.#encryption = encryption;
  }

  /**
   * Locks the subject and inserts the record, in the current transaction.
   * @returns false if the message was handled before, or a request with its key still runs
   */
  async insert(connection: ClientBase, subject: string | undefined): Promise<boolean> {
    const { key, sender, fingerprints } = this.#id;
    const values = [key, fingerprints?.[0] ?? null, subject ?? null, sender];
    return (await connection.query(insertIntoInboxSql, values)).rowCount === 1;
  }

  /**
   * @param read runs a query, and returns its rows
   * @throws DuplicateMessage with the first answer
   * @throws Rejection `idempotency-key-reused` if the key came with another input
   */
  async assertNew(read: (text: string, values: unknown[]) => Promise<KnownMessage[]>): Promise<void> {
    const { key, sender, fingerprints } = this.#id;
    const text = `SELECT fingerprint, answer FROM inbox WHERE key = $1 AND sender IN ($2, '')`;
    const [known] = await read(text, [key, sender]);
    if (!known) return;
    if (fingerprints && !fingerprints.includes(known.fingerprint ?? ''))
      throw platformRejection('idempotency-key-reused', 'this key was used with another request');
    throw new DuplicateMessage(this.#encryption.decrypt(known.answer, `answer ${key}`) ?? undefined);
  }

  /** Whether the answer is stored. That of a sensitive request is only if its contract asks for an Idempotency-Key. */
  isKept(answer: unknown): boolean {
    const contract = this.#contract;
    if (answer === undefined || contract.kind === 'event') return false;
    return !contract.sensitive || contract.idempotency !== 'none';
  }

  async keep(answer: unknown, connection: ClientBase): Promise<void> {
    const { key, sender } = this.#id;
    const contract = this.#contract;
    const isSensitive = contract.kind !== 'event' && contract.sensitive;
    const stored = isSensitive ? this.#encryption.encrypt(answer, `answer ${key}`) : answer;
    await connection.query('UPDATE inbox SET answer = $3 WHERE key = $1 AND sender = $2', [
      key,
      sender,
      JSON.stringify(stored),
    ]);
  }
}
