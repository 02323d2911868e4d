import type { Money } from '@jogakbo/contracts-commerce';

/** The current state of a charge at the provider. */
export type Charge =
  | { status: 'authorized' | 'captured' | 'voided' | 'refunded'; reference: string }
  | { status: 'declined'; reason: string };

/**
 * Every call is idempotent; a call that throws may still have taken effect. Every call returns the current state of the
 * charge, even if the step is no longer possible, because another call may have changed it. Never call it while a
 * transaction is open: a call may take seconds.
 */
export abstract class PaymentProvider {
  /** True if no money moves. Recorded with every payment. */
  abstract readonly sandbox: boolean;

  /** Whether the provider accepts a token. Charges nothing. */
  abstract isTokenKnown(token: string): Promise<boolean>;

  /** Reserves the amount. The same payment id always returns the same charge. */
  abstract authorize(charge: { paymentId: string; amount: Money; token: string }): Promise<Charge>;

  /** Collects the reserved amount. */
  abstract capture(charge: Reference): Promise<Charge>;

  /** Releases the reservation of a payment, whether or not there is one, and blocks later authorizations. */
  abstract void(paymentId: string): Promise<Charge>;

  /** Returns the collected amount. */
  abstract refund(charge: Reference): Promise<Charge>;
}

/** A charge by the provider's reference, and by our payment id, which the idempotency keys derive from. */
export interface Reference {
  paymentId: string;
  reference: string;
}

/** The provider failed, did not respond, or returned an invalid response. */
export class ProviderFault extends Error {
  override readonly name = 'ProviderFault';
}
