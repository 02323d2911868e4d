import { createHash } from 'node:crypto';
import type { AnyContract } from '@jogakbo/contract';
import type { Incoming } from '@jogakbo/messaging';
import type { StorageEncryption } from './storage-encryption.ts';

export interface InboxKey {
  key: string;
  /**
   * Of the input, where the key was chosen by a client and could be used for something else: the one to be stored, then
   * those that it may have been stored as before the service key was rotated.
   */
  fingerprints?: readonly string[];
}

/** What makes a message the same message: the client's Idempotency-Key, within one member and contract, or its id. */
export function inboxKey(contract: AnyContract, incoming: Incoming, encryption: StorageEncryption): InboxKey {
  const { idempotencyKey, messageId, context, data } = incoming;
  if (!idempotencyKey || contract.kind === 'event' || contract.idempotency === 'none')
    return { key: messageId };
  const key = `${contract.name} ${context.caller?.memberId ?? 'anyone'} ${idempotencyKey}`;
  const text = canonical(data);
  if (contract.sensitive) return { key, fingerprints: encryption.fingerprints(text) };
  return { key, fingerprints: [createHash('sha256').update(text).digest('base64url')] };
}

/** JSON with sorted keys: the same input gives the same text, however a client orders its fields. */
const canonical = (data: unknown): string =>
  JSON.stringify(data, (_, value: unknown) =>
    value && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
