import { randomBytes } from 'node:crypto';
import { decryptBytes, encryptText, ivLength, tagLength } from '@jogakbo/messaging/aes-gcm';
import type { EntityManager } from 'typeorm';

/** A personal field as it is stored in an event, encrypted with the key of its person. */
interface EncryptedField {
  /** The stored name, which must stay. */
  sealed: string;
}

const isEncryptedField = (value: unknown): value is EncryptedField =>
  typeof value === 'object' && value !== null && typeof (value as EncryptedField).sealed === 'string';

interface PersonalKey {
  id: string;
  key: Buffer;
}

/** The key of the personal fields of an event, as `personalKeySql` selects it. */
export interface StoredKey {
  /** Null without personal fields, and after the erasure. */
  key: Buffer | null;
  /** False for an event without a key id: its person may have got another key since. */
  isKeyCertain: boolean;
}

/** SQL columns of a `StoredKey` for an `event`. Events of earlier versions have no key id: see PersonalKeyIds1700000000600. */
export const personalKeySql = `coalesce(
  (SELECT key FROM personal_key WHERE id = event.personal_key_id),
  (SELECT key FROM personal_key WHERE event.personal_key_id IS NULL AND person = event.person)) AS key,
  event.personal_key_id IS NOT NULL AS "isKeyCertain"`;

/** Encrypts some fields with the key of a person, and creates that key if there is none. */
export async function encryptFields(
  tx: EntityManager,
  person: string,
  data: Record<string, unknown>,
  fields: readonly string[],
): Promise<{ data: Record<string, unknown>; keyId: string }> {
  const { id, key } = (await getKey(tx, person)) ?? (await createKey(tx, person));
  const encrypted = fields
    .filter((field) => data[field] !== undefined)
    .map((field) => [field, { sealed: encryptStored(key, JSON.stringify(data[field])) }]);
  return { data: { ...data, ...Object.fromEntries(encrypted) }, keyId: id };
}

async function getKey(tx: EntityManager, person: string): Promise<PersonalKey | undefined> {
  const [known] = (await tx.query('SELECT id, key FROM personal_key WHERE person = $1', [
    person,
  ])) as PersonalKey[];
  return known;
}

/** Of two concurrent calls the second one waits, and returns the key of the first one. */
async function createKey(tx: EntityManager, person: string): Promise<PersonalKey> {
  await tx.query('INSERT INTO personal_key (person, key) VALUES ($1, $2) ON CONFLICT (person) DO NOTHING', [
    person,
    randomBytes(32),
  ]);
  return (await getKey(tx, person))!;
}

/**
 * Decrypts the fields of a person. Without the key a field has its value in `erased`; likewise if the key is not certain and
 * does not decrypt it, because the key that does was then erased by an earlier version.
 * @throws Error if data was changed after its encryption
 */
export function decryptFields(
  data: Record<string, unknown>,
  { key, isKeyCertain }: StoredKey,
  erased: Record<string, unknown> = {},
): Record<string, unknown> {
  const decrypted = Object.entries(data).map(([field, value]) => {
    if (!isEncryptedField(value)) return [field, value];
    if (!key) return [field, erased[field]];
    const parts = parseStored(value.sealed);
    try {
      return [field, JSON.parse(decryptBytes(key, parts, '').toString('utf8'))];
    } catch (error) {
      if (isKeyCertain) throw error;
      return [field, erased[field]];
    }
  });
  return Object.fromEntries(decrypted) as Record<string, unknown>;
}

/**
 * Deletes the key of a person. All fields encrypted with it become unreadable, in every event of this database and of
 * later copies. Earlier copies and backups contain the key: they stay readable until they are deleted, and a database
 * restored from one must erase again. Deletes the snapshots too, because they contain plaintext.
 *
 * Later events of the person get a new key, which `erase` can delete again.
 */
export async function erase(tx: EntityManager, person: string): Promise<void> {
  await tx.query(
    `UPDATE event SET personal_key_id = (SELECT id FROM personal_key WHERE person = $1)
     WHERE person = $1 AND personal_key_id IS NULL`,
    [person],
  );
  await tx.query('DELETE FROM personal_key WHERE person = $1', [person]);
  await tx.query('DELETE FROM snapshot');
}

/** The layout of stored events: base64, with the tag at the end. Without associated data: older events have none. */
function encryptStored(key: Buffer, text: string): string {
  const { iv, tag, content } = encryptText(key, text, '');
  return Buffer.concat([iv, content, tag]).toString('base64');
}

function parseStored(encoded: string) {
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.toString('base64') !== encoded) throw new Error('the encrypted field is not canonical base64');
  return {
    iv: bytes.subarray(0, ivLength),
    tag: bytes.subarray(-tagLength),
    content: bytes.subarray(ivLength, -tagLength),
  };
}
