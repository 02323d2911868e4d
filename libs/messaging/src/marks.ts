import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { ServiceKey } from './service-key.ts';

/** The header that holds the mark. */
export const markHeader = 'mark';
/** With what an operator edited: the digest of the body that the mark was made for. */
export const editedFromHeader = 'edited-from';
/** What a handler relies on beside id and body. Attempts are not covered: a replay begins anew. */
const covered = ['sender', 'caller', 'address', 'idempotency-key'] as const;

type Headers = Record<string, unknown>;

/**
 * Marks what a service publishes to itself: a message that waits for its next attempt, lies among the dead letters, or is
 * passed on to another version. The mark is a MAC that only this service can make, over the id, the body and who sent the
 * message at first. Without it that is not believed, whichever login a message comes from.
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
      [markHeader]: mac(this.#keys[0]!, messageId, computeDigest(content), headers).toString('base64url'),
    };
  }

  /** Whether this service marked this message, with the present key or an earlier one. */
  verify(messageId: string, content: Buffer, headers: Headers): boolean {
    return this.#verify(messageId, computeDigest(content), headers);
  }

  /**
   * Whether this service marked a message whose body an operator changed since. To be asked only where the broker
   * vouches that an operator sent it: the header says which body there was.
   */
  verifyBeforeEdit(messageId: string, headers: Headers): boolean {
    const digest = headers[editedFromHeader];
    return typeof digest === 'string' && this.#verify(messageId, digest, headers);
  }

  #verify(messageId: string, digest: string, headers: Headers): boolean {
    const given = headers[markHeader];
    if (typeof given !== 'string') return false;
    // Compared as text: other last bits of base64url are another mark (RFC 4648, section 3.5).
    const bytes = Buffer.from(given);
    return this.#keys.some((key) => {
      const made = Buffer.from(mac(key, messageId, digest, headers).toString('base64url'));
      return bytes.length === made.length && timingSafeEqual(bytes, made);
    });
  }
}

/** What a mark covers of a body. */
export const computeDigest = (content: Buffer): string =>
  createHash('sha256').update(content).digest('base64url');

function mac(key: Buffer, messageId: string, digest: string, headers: Headers): Buffer {
  const fields = covered.map((name) => headers[name] ?? null);
  return createHmac('sha256', key)
    .update(JSON.stringify([messageId, digest, ...fields]))
    .digest();
}
