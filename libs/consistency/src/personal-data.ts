import { randomBytes } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { decrypt, encrypt, ivLength, tagLength } from './encryption.ts';

/** What stands in an event for a field that only its person's key can open. */
interface Sealed {
  sealed: string;
}

const isSealed = (value: unknown): value is Sealed =>
  typeof value === 'object' && value !== null && typeof (value as Sealed).sealed === 'string';

/** Closes some fields with the key of a person, who gets one where there is none. */
export async function encryptFields(
  tx: EntityManager,
  person: string,
  data: Record<string, unknown>,
  fields: readonly string[],
): Promise<Record<string, unknown>> {
  const key = (await getKey(tx, person)) ?? (await newKey(tx, person));
  const closed = fields
    .filter((field) => data[field] !== undefined)
    .map((field) => [field, { sealed: encryptStored(key, JSON.stringify(data[field])) }]);
  return { ...data, ...Object.fromEntries(closed) };
}

async function getKey(tx: EntityManager, person: string): Promise<Buffer | undefined> {
  const [known] = (await tx.query('SELECT key FROM personal_key WHERE person = $1', [person])) as {
    key: Buffer;
  }[];
  return known?.key;
}

/** Of two that make one at the same time the second waits, and takes the first one's. */
async function newKey(tx: EntityManager, person: string): Promise<Buffer> {
  await tx.query('INSERT INTO personal_key (person, key) VALUES ($1, $2) ON CONFLICT DO NOTHING', [
    person,
    randomBytes(32),
  ]);
  return (await getKey(tx, person))!;
}

/** Opens what was sealed. Without its key a field is given as `erased` says. */
export function decryptFields(
  data: Record<string, unknown>,
  key: Buffer | null,
  erased: Record<string, unknown> = {},
): Record<string, unknown> {
  const opened = Object.entries(data).map(([field, value]) => {
    if (!isSealed(value)) return [field, value];
    return [field, key ? JSON.parse(decryptStored(key, value.sealed)) : erased[field]];
  });
  return Object.fromEntries(opened) as Record<string, unknown>;
}

/**
 * Makes everything that was sealed for a person unreadable, in every event of this database and of copies made from now
 * on, by forgetting the key. A copy or backup made before holds the key beside the data: it stays readable until it is
 * deleted, and a database restored from it must erase again. Snapshots are thrown away: they hold what was open.
 */
export async function erase(tx: EntityManager, person: string): Promise<void> {
  await tx.query('DELETE FROM personal_key WHERE person = $1', [person]);
  await tx.query('DELETE FROM snapshot');
}

/** `encrypt` in the layout of events that are stored: base64, and the tag at the end. */
function encryptStored(key: Buffer, text: string): string {
  const bytes = Buffer.from(encrypt(key, text, ''), 'base64url');
  const start = ivLength + tagLength;
  return Buffer.concat([
    ...[bytes.subarray(0, ivLength), bytes.subarray(start), bytes.subarray(ivLength, start)],
  ]).toString('base64');
}

function decryptStored(key: Buffer, sealed: string): string {
  const bytes = Buffer.from(sealed, 'base64');
  if (bytes.toString('base64') !== sealed) throw new Error('not canonical base64');
  const parts = [
    bytes.subarray(0, ivLength),
    bytes.subarray(-tagLength),
    bytes.subarray(ivLength, -tagLength),
  ];
  return decrypt(key, Buffer.concat(parts).toString('base64url'), '');
}
