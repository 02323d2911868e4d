import { type Rows, withDatabase } from '@jogakbo/chaos/src/read-facts.ts';
import { type Store } from '@jogakbo/chaos/src/store.ts';
import { decryptBytes, ivLength, tagLength } from '@jogakbo/messaging/aes-gcm';

export interface OrderFact {
  orderId: string;
  memberId: string;
  /** The Idempotency-Key of the request, from the address of the order. */
  key: string;
  lines: { productId: string; quantity: number }[];
  amount: number;
  /** Status in the order list; null if the list does not have the order yet. */
  status: string | null;
  events: { type: string; reason: string | null }[];
}

/** State of the services after a run, read directly from their databases. */
export interface StoreFacts {
  orders: OrderFact[];
  stock: { productId: string; onHand: number; reserved: number; sold: number; received: number }[];
  reservations: {
    orderId: string;
    status: string;
    lines: { productId: string; quantity: number }[];
    expiresAt: number | null;
  }[];
  payments: { orderId: string; status: string; amount: number | null }[];
  ledger: { orderId: string; account: string; amount: number }[];
  /** Charges stored by the payment provider. Its idempotency key is the payment id. */
  charges: { orderId: string | null; status: string; amount: number | null }[];
  mails: { orderId: string; kind: string; messageId: string; delivered: number }[];
  /** Product ids in the catalog. */
  products: string[];
  /** Products in the search index with their stock; null if search has no stock. */
  found: { productId: string; available: number | null }[];
}

export async function readStoreFacts(store: Store): Promise<StoreFacts> {
  return {
    ...(await withDatabase(store, 'orders', readOrders)),
    ...(await withDatabase(store, 'inventory', readInventory)),
    ...(await withDatabase(store, 'payments', readPayments)),
    ...(await withDatabase(store, 'notifications', readMails)),
    ...(await withDatabase(store, 'catalog', readProducts)),
    ...(await withDatabase(store, 'search', readSearchIndex)),
  };
}

/** The address is personal data, encrypted with the key of the member. */
function decryptAddressLine(encrypted: string, key: string): string {
  const bytes = Buffer.from(encrypted, 'base64');
  const parts = {
    iv: bytes.subarray(0, ivLength),
    tag: bytes.subarray(-tagLength),
    content: bytes.subarray(ivLength, -tagLength),
  };
  const text = decryptBytes(Buffer.from(key, 'base64'), parts, '').toString('utf8');
  return (JSON.parse(text) as { line1: string }).line1;
}

async function readOrders(rows: Rows): Promise<Pick<StoreFacts, 'orders'>> {
  const orders: (OrderFact & { encrypted: string })[] = await rows(`
    SELECT o."orderId", o."memberId", o.events, o.placed->'lines' AS lines,
      (o.placed#>>'{total,amount}')::float8 AS amount, o.placed#>>'{shipTo,sealed}' AS encrypted,
      (SELECT encode(key, 'base64') FROM personal_key WHERE person = o."memberId") AS key,
      (SELECT status FROM order_summary WHERE order_id::text = o."orderId") AS status
    FROM (
      SELECT subject AS "orderId", min(data->>'memberId') AS "memberId",
        (json_agg(data) FILTER (WHERE version = 1))->0 AS placed,
        json_agg(json_build_object('type', type, 'reason', data->>'reason') ORDER BY version) AS events
      FROM event WHERE stream = 'order' GROUP BY subject
    ) o`);
  return {
    orders: orders.map(({ encrypted, key, ...order }) => ({
      ...order,
      key: decryptAddressLine(encrypted, key),
    })),
  };
}

async function readInventory(rows: Rows): Promise<Pick<StoreFacts, 'stock' | 'reservations'>> {
  return {
    stock: await rows(`
      SELECT product_id AS "productId", on_hand::float8 AS "onHand", reserved::float8, sold::float8, received::float8
      FROM stock`),
    reservations: await rows(`
      SELECT order_id AS "orderId", status, lines, (extract(epoch FROM expires_at) * 1000)::float8 AS "expiresAt"
      FROM reservation`),
  };
}

async function readPayments(rows: Rows): Promise<Pick<StoreFacts, 'payments' | 'ledger' | 'charges'>> {
  return {
    payments: await rows('SELECT order_id AS "orderId", status, amount::float8 FROM payment'),
    ledger: await rows(
      'SELECT order_id AS "orderId", account, amount::float8 FROM ledger_entry ORDER BY at, transaction',
    ),
    charges: await rows(`
      SELECT p.order_id AS "orderId", c.status, c.amount::float8
      FROM sandbox_charge c LEFT JOIN payment p ON p.payment_id::text = c.idempotency_key`),
  };
}

async function readMails(rows: Rows): Promise<Pick<StoreFacts, 'mails'>> {
  return {
    mails: await rows(`
      SELECT about AS "orderId", kind, message_id AS "messageId",
        (SELECT count(*)::int FROM mailbox b WHERE b.message_id = m.message_id AND b."to" = m."to") AS delivered
      FROM mail m WHERE about IS NOT NULL`),
  };
}

async function readProducts(rows: Rows): Promise<Pick<StoreFacts, 'products'>> {
  const products = await rows<{ productId: string }>('SELECT product_id AS "productId" FROM product');
  return { products: products.map(({ productId }) => productId) };
}

async function readSearchIndex(rows: Rows): Promise<Pick<StoreFacts, 'found'>> {
  return {
    found: await rows(`
      SELECT product_id AS "productId", available::float8
      FROM product_terms JOIN product USING (product_id) LEFT JOIN stock USING (product_id) WHERE NOT removed`),
  };
}
