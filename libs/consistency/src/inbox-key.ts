import { createHash } from 'node:crypto';
import type { MessageContext } from '@jogakbo/messaging';
import type { StorageEncryption } from './storage-encryption.ts';

export interface InboxKey {
  key: string;
  /** The login that sent the message. The same key from another login is another message. */
  sender: string;
  /**
   * Fingerprints of the input, for keys chosen by a client. The first one is stored. The others match rows stored before
   * a rotation of the service key, or by versions that did not parse the input first.
   */
  fingerprints?: readonly string[];
}

/** A sender that neither the broker nor a mark confirms. It occurs only if all services share one login. */
const unknownSender = '?';

/**
 * Identifies repetitions of a message: by the client's Idempotency-Key per member and contract, else by the message id;
 * both per sender. The id alone proves nothing, since the sender chooses it.
 */
export function toInboxKey(
  { contract, incoming, input }: Pick<MessageContext, 'contract' | 'incoming' | 'input'>,
  encryption: StorageEncryption,
): InboxKey {
  const { idempotencyKey, messageId, callContext, data, sender = unknownSender } = incoming;
  if (!idempotencyKey || contract.kind === 'event' || contract.idempotency === 'none')
    return { key: messageId, sender };
  const key = `${contract.name} ${callContext.caller?.memberId ?? 'anyone'} ${idempotencyKey}`;
  const computeFingerprints = (value: unknown): readonly string[] => {
    const text = toCanonicalJson(value);
    if (contract.sensitive) return encryption.fingerprints(text);
    return [createHash('sha256').update(text).digest('base64url')];
  };
  return { key, sender, fingerprints: [...computeFingerprints(input), ...computeFingerprints(data)] };
}

/** JSON with sorted keys: the order of the fields makes no difference. */
const toCanonicalJson = (data: unknown): string =>
  JSON.stringify(data ?? null, (_, value: unknown) =>
    value && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
