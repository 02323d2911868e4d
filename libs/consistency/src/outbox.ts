import { randomUUIDv7 } from 'node:crypto';
import { replaceFields, type Message } from '@jogakbo/contract';
import {
  contextHeaders,
  describeMessage,
  getSubject,
  type CallContext,
  type Spans,
} from '@jogakbo/messaging';
import type { ClientBase } from 'pg';
import type { StorageEncryption } from './storage-encryption.ts';

/** A row of the outbox. */
export interface OutboxRow {
  id: string;
  message_id: string;
  kind: 'event' | 'command';
  name: string;
  subject: string | null;
  data: unknown;
  headers: Record<string, unknown>;
  created_at: Date;
  /** When it was read or written, by the clock of the database: before any attempt to publish it. */
  read_at: Date;
}

/** Messages that a transaction wrote to the outbox for immediate publication, in order. */
export interface PendingMessages {
  rows: OutboxRow[];
  /** Whether other messages were waiting when these were written: published at once, these would overtake them. */
  othersWait: boolean;
}

/** A row to insert: its place in the order of publication, and milliseconds until it is due. */
export type NewOutboxRow = Omit<OutboxRow, 'id' | 'created_at' | 'read_at'> & {
  position: number;
  delay: number | undefined;
};

export const noMessages: Promise<PendingMessages> = Promise.resolve({ rows: [], othersWait: false });

/**
 * Encodes a message for the outbox.
 * @param context of the message that causes this one
 * @param spans records when the message was created: it may be published and handled much later
 * @throws ZodError if the message violates its contract: the sender fails, and not every receiver
 */
export function toOutboxRow(
  { contract, data }: Message,
  context: CallContext,
  encryption: StorageEncryption,
  position: number,
  delay: number | undefined,
  spans?: Spans,
): NewOutboxRow {
  const checked: unknown = contract.input.parse(data);
  const messageId = randomUUIDv7();
  // Deadline, caller and address apply to this message, and not to the messages that it causes.
  const { deadline: _deadline, caller: _caller, address: _address, ...kept } = context;
  const subject = getSubject(contract, checked);
  const attributes = {
    ...describeMessage('create', contract.name, messageId),
    'jogakbo.message.subject': subject,
  };
  const span = spans?.start({ name: `create ${contract.name}`, kind: 'producer', attributes }, context);
  span?.end();
  return {
    position,
    delay,
    message_id: messageId,
    kind: contract.kind as OutboxRow['kind'],
    name: contract.name,
    subject: subject ?? null,
    data: encodeData(contract, checked, messageId, encryption),
    headers: { ...contextHeaders(kept), ...span?.trace },
  };
}

/**
 * Encodes data for the outbox. A sensitive command is encrypted for its receiver at publication, because the key may be
 * unknown now. Fields of an event that only this service may read are published as they are stored here.
 */
function encodeData(
  contract: Message['contract'],
  data: unknown,
  messageId: string,
  encryption: StorageEncryption,
): unknown {
  if (contract.kind !== 'event')
    return contract.sensitive ? encryption.encrypt(data, `outbox ${messageId}`) : data;
  const { name, sensitiveFields } = contract;
  return replaceFields(data, sensitiveFields, (text) => encryption.encryptText(text, `field of ${name}`));
}

/** Inserts all rows in one statement, numbered in the order of their publication. Due times use the clock of the database. */
const insertRowsSql = `
  WITH mine AS (
    INSERT INTO outbox (message_id, kind, name, subject, data, headers, due_at)
    SELECT message_id, kind, name, subject, data, headers, 
      CASE WHEN delay > 0 THEN clock_timestamp() + delay * interval '1 millisecond' END
    FROM json_to_recordset($1) AS row (position int, message_id uuid, kind text, name text, subject text,
      data json, headers json, delay double precision)
    ORDER BY position
    RETURNING id, message_id, created_at, due_at
  )
  SELECT id, message_id, created_at, statement_timestamp() AS read_at,
    EXISTS (SELECT FROM outbox WHERE published_at IS NULL AND due_at IS NULL) AS others_wait
  FROM mine WHERE due_at IS NULL ORDER BY id`;

/** Inserts rows in the transaction of a connection. Returns the messages to publish now. */
export async function writeOutbox(connection: ClientBase, rows: NewOutboxRow[]): Promise<PendingMessages> {
  const inserted = await connection.query<
    Pick<OutboxRow, 'id' | 'message_id' | 'created_at' | 'read_at'> & { others_wait: boolean }
  >(insertRowsSql, [JSON.stringify(rows)]);
  const written = new Map(rows.map((row) => [row.message_id, row]));
  return {
    rows: inserted.rows.map(({ others_wait: _, ...row }) => ({ ...written.get(row.message_id)!, ...row })),
    othersWait: inserted.rows.some(({ others_wait }) => others_wait),
  };
}
