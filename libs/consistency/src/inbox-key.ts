import { createHash } from 'node:crypto';
import type { MessageContext } from '@jogakbo/messaging';
import type { StorageEncryption } from './storage-encryption.ts';

export interface InboxKey {
  key: string;
  /** The login that sent it. What another one sends under the same key is another message. */
  sender: string;
  /**
   * Of the input, where the key was chosen by a client and could be used for something else: the one to be stored, then
   * those that it may have been stored as before the service key was rotated, and by versions that took it of the input
   * as it came.
   */
  fingerprints?: readonly string[];
}

/** Stands for a sender that neither the broker nor a mark confirms: only where all services share one login. */
const unknownSender = '?';

/**
 * What makes a message the same message: the client's Idempotency-Key, within one member and contract, or its id; each
 * within one sender. Its id alone proves nothing, since the sender chooses it.
 */
export function inboxKey(
  { contract, incoming, input }: Pick<MessageContext, 'contract' | 'incoming' | 'input'>,
  encryption: StorageEncryption,
): InboxKey {
  const { idempotencyKey, messageId, context, data, sender = unknownSender } = incoming;
  if (!idempotencyKey || contract.kind === 'event' || contract.idempotency === 'none')
    return { key: messageId, sender };
  const key = `${contract.name} ${context.caller?.memberId ?? 'anyone'} ${idempotencyKey}`;
  const computeFingerprints = (value: unknown): readonly string[] => {
    const text = canonical(value);
    if (contract.sensitive) return encryption.fingerprints(text);
    return [createHash('sha256').update(text).digest('base64url')];
  };
  return { key, sender, fingerprints: [...computeFingerprints(input), ...computeFingerprints(data)] };
}

/** JSON with sorted keys: the same input gives the same text, however a client orders its fields. */
const canonical = (data: unknown): string =>
  JSON.stringify(data ?? null, (_, value: unknown) =>
    value && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
