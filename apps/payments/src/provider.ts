import type { Money } from '@jogakbo/contract';

/** What a provider decided about a charge. */
export type Decision = { outcome: 'authorized'; reference: string } | { outcome: 'declined'; reason: string };

/**
 * The company that moves the money. Every call may be repeated and has its effect once; one that throws may have had
 * it. Never called while a transaction is open: it may take as long as the network likes.
 */
export abstract class PaymentProvider {
  /** Whether a token can be paid with at all. Charges nothing. */
  abstract knows(token: string): Promise<boolean>;

  /** Sets money aside. The same key gets the same decision for ever. */
  abstract authorize(charge: { idempotencyKey: string; amount: Money; token: string }): Promise<Decision>;

  /** Takes what was set aside. @throws ProviderFault where it was let go of */
  abstract capture(reference: string): Promise<void>;

  /**
   * Lets go of what was set aside under a key, known to the caller or not, and refuses what comes under it later.
   * @throws ProviderFault where it was captured
   */
  abstract void(idempotencyKey: string): Promise<void>;

  /** Gives back what was taken. @throws ProviderFault where nothing was */
  abstract refund(reference: string): Promise<void>;
}

/** The provider failed, or nobody knows whether it did. */
export class ProviderFault extends Error {
  override readonly name = 'ProviderFault';
}
