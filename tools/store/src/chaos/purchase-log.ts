import { type LoggedRequest } from '@jogakbo/chaos/src/client-log.ts';

/** A request of a member or the merchant. */
export interface PurchaseRequest extends LoggedRequest {
  who: string;
  what: 'place' | 'cancel' | 'read-order' | 'read-orders' | 'read-stock' | 'receive';
  /** The Idempotency-Key. */
  key?: string | undefined;
  orderId?: string | undefined;
  productId?: string | undefined;
  quantity?: number | undefined;
  /** The payment token. */
  token?: string | undefined;
  /** Code of the problem. */
  code?: string | undefined;
  /** Status of the order in the response. */
  state?: string | undefined;
  available?: number | undefined;
  /** The body of a 5xx response. */
  text?: string | undefined;
}
