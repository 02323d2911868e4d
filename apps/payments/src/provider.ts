import type { Money } from '@jogakbo/contract';

/** A charge as the provider has it now. */
export type Charge =
  | { status: 'authorized' | 'captured' | 'voided' | 'refunded'; reference: string }
  | { status: 'declined'; reason: string };

/**
 * The company that moves the money. Every call may be repeated and has its effect once; one that throws may have had
 * it. Every call answers with the charge as it is now, also where it cannot be moved any more: a repeated call may meet
 * what another one has done since. Never called while a transaction is open: a call may take seconds.
 */
export abstract class PaymentProvider {
  /** True where no money moves at all. Recorded with every payment. */
  abstract readonly sandbox: boolean;

  /** Whether a token can be paid with at all. Charges nothing. */
  abstract knows(token: string): Promise<boolean>;

  /** Sets money aside. The same key always finds the same charge. */
  abstract authorize(charge: { paymentId: string; amount: Money; token: string }): Promise<Charge>;

  /** Takes what was set aside. */
  abstract capture(charge: Reference): Promise<Charge>;

  /** Releases what was set aside for a payment, known to the caller or not, and refuses what comes for it later. */
  abstract void(paymentId: string): Promise<Charge>;

  /** Gives back what was taken. */
  abstract refund(charge: Reference): Promise<Charge>;
}

/** A charge by its name at the provider, and by ours: of the latter come the idempotency keys. */
export interface Reference {
  paymentId: string;
  reference: string;
}

/** The provider failed, or its answer is missing or makes no sense. */
export class ProviderFault extends Error {
  override readonly name = 'ProviderFault';
}
