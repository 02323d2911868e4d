import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { ServiceKey } from './service-key.ts';

/** Header with the mark. */
export const markHeader = 'mark';
/** Header of an edited message: the digest of the original body, which the mark covers. */
export const editedFromHeader = 'edited-from';
/**
 * Headers that the mark covers besides id and body. Not `failures` and `first-failed-at`: a replay
 * resets them, and only the service itself can publish marked messages.
 */
const covered = ['sender', 'caller', 'address', 'idempotency-key'] as const;

type Headers = Record<string, unknown>;

/**
 * Authenticates messages that a service publishes to itself: retries, dead letters, and messages forwarded to another
 * version. The mark is a MAC of this service over the id, the body and the original sender. Without a valid mark the
 * original sender is not trusted, whatever login published the message.
 */
export class Marks {
  readonly #keys: readonly Buffer[];

  constructor(key: ServiceKey) {
    this.#keys = key.derive('marks of messages');
  }

  /** Adds the mark to the headers of a message that is about to be published. */
  add(messageId: string, content: Buffer, headers: Headers): Headers {
    return {
      ...headers,
      [markHeader]: computeMac(this.#keys[0]!, messageId, computeDigest(content), headers).toString(
        'base64url',
      ),
    };
  }

  /** Whether this service marked this message, with the current key or an earlier one. */
  verify(messageId: string, content: Buffer, headers: Headers): boolean {
    return this.#verify(messageId, computeDigest(content), headers);
  }

  /**
   * Whether this service marked a message before an operator edited its body. Call it only for messages whose `user-id` is
   * the operator: the digest of the original body comes from a header.
   */
  verifyBeforeEdit(messageId: string, headers: Headers): boolean {
    const digest = headers[editedFromHeader];
    return typeof digest === 'string' && this.#verify(messageId, digest, headers);
  }

  #verify(messageId: string, digest: string, headers: Headers): boolean {
    const given = headers[markHeader];
    if (typeof given !== 'string') return false;
    // Compared as text: base64url with other unused last bits is a different mark (RFC 4648, section 3.5).
    const bytes = Buffer.from(given);
    return this.#keys.some((key) => {
      const expected = Buffer.from(computeMac(key, messageId, digest, headers).toString('base64url'));
      return bytes.length === expected.length && timingSafeEqual(bytes, expected);
    });
  }
}

/** The digest of a body that a mark covers. */
export const computeDigest = (content: Buffer): string =>
  createHash('sha256').update(content).digest('base64url');

function computeMac(key: Buffer, messageId: string, digest: string, headers: Headers): Buffer {
  const fields = covered.map((name) => headers[name] ?? null);
  return createHmac('sha256', key)
    .update(JSON.stringify([messageId, digest, ...fields]))
    .digest();
}
