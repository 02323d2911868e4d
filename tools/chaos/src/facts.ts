import { decryptBytes, ivLength, tagLength } from '@jogakbo/messaging/aes-gcm';
import pg from 'pg';
import { stateful } from './services.ts';
import { type Store } from './store.ts';

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

export interface OutboxFact {
  service: string;
  id: number;
  messageId: string;
  name: string;
  subject: string | null;
  /** Whether it is overdue: not published, and due. */
  open: boolean;
  at: number;
}

/** A read model, rebuilt from the event log of its service. */
export interface RebuiltFact {
  service: string;
  name: string;
  /** Number of rows before the rebuild. */
  rows: number;
  /** Rows that exist only before or only after the rebuild. */
  differ: string[];
  /** Why the rebuild failed. */
  fault?: string;
}

/** State of the store after a run, read directly from the databases and the broker. */
export interface Facts {
  /** Time of the read (milliseconds since the epoch). */
  at: number;
  orders: OrderFact[];
  sagas: { name: string; orderId: string; steps: string[]; ended: boolean }[];
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
  /** Empty before the rebuild. */
  rebuilt: RebuiltFact[];
  outbox: OutboxFact[];
  queues: { name: string; messages: number; unacknowledged: number }[];
  deadLetters: { queue: string; pattern: string; cause: string; payload: string }[];
  /** Ids of all messages, in the order of their first delivery. */
  heard: string[];
  /** When the tap started to listen (milliseconds since the epoch). */
  heardSince: number;
}

export type Rows = <T>(sql: string) => Promise<T[]>;

/** Runs `read` with a connection to the database of a service. */
export async function withDatabase<T>(
  store: Store,
  service: string,
  read: (rows: Rows) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({
    connectionString: store.getDatabaseUrl(service),
    connectionTimeoutMillis: 5_000,
    query_timeout: 20_000,
  });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await read(async (sql) => (await client.query(sql)).rows);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Delayed messages are open only if they are overdue by more than a second. */
const outboxQuery = `
  SELECT id::float8 AS id, message_id AS "messageId", name, subject,
    published_at IS NULL AND coalesce(due_at < now() - interval '1 second', true) AS open,
    (extract(epoch FROM created_at) * 1000)::float8 AS at
  FROM outbox ORDER BY id`;

export async function readFacts(
  store: Store,
  { heard, since }: { heard: readonly string[]; since: number },
): Promise<Facts> {
  const outbox = await Promise.all(
    stateful.map((service) =>
      withDatabase(store, service, async (rows) =>
        (await rows<Omit<OutboxFact, 'service'>>(outboxQuery)).map((row) => ({ service, ...row })),
      ),
    ),
  );
  return {
    at: Date.now(),
    ...(await withDatabase(store, 'orders', readOrders)),
    ...(await withDatabase(store, 'inventory', readInventory)),
    ...(await withDatabase(store, 'payments', readPayments)),
    ...(await withDatabase(store, 'notifications', readMails)),
    ...(await withDatabase(store, 'catalog', readProducts)),
    ...(await withDatabase(store, 'search', readSearchIndex)),
    rebuilt: [],
    ...(await readBroker(store)),
    outbox: outbox.flat(),
    heard: [...heard],
    heardSince: since,
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

async function readOrders(rows: Rows): Promise<Pick<Facts, 'orders' | 'sagas'>> {
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
    sagas: await rows(`
      SELECT name, key AS "orderId", ended_at IS NOT NULL AS ended,
        ARRAY(SELECT step->>'event' FROM json_array_elements(history) AS step) AS steps
      FROM saga`),
  };
}

async function readInventory(rows: Rows): Promise<Pick<Facts, 'stock' | 'reservations'>> {
  return {
    stock: await rows(`
      SELECT product_id AS "productId", on_hand::float8 AS "onHand", reserved::float8, sold::float8, received::float8
      FROM stock`),
    reservations: await rows(`
      SELECT order_id AS "orderId", status, lines, (extract(epoch FROM expires_at) * 1000)::float8 AS "expiresAt"
      FROM reservation`),
  };
}

async function readPayments(rows: Rows): Promise<Pick<Facts, 'payments' | 'ledger' | 'charges'>> {
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

async function readMails(rows: Rows): Promise<Pick<Facts, 'mails'>> {
  return {
    mails: await rows(`
      SELECT about AS "orderId", kind, message_id AS "messageId",
        (SELECT count(*)::int FROM mailbox b WHERE b.message_id = m.message_id AND b."to" = m."to") AS delivered
      FROM mail m WHERE about IS NOT NULL`),
  };
}

async function readProducts(rows: Rows): Promise<Pick<Facts, 'products'>> {
  const products = await rows<{ productId: string }>('SELECT product_id AS "productId" FROM product');
  return { products: products.map(({ productId }) => productId) };
}

async function readSearchIndex(rows: Rows): Promise<Pick<Facts, 'found'>> {
  return {
    found: await rows(`
      SELECT product_id AS "productId", available::float8
      FROM product_terms JOIN product USING (product_id) LEFT JOIN stock USING (product_id) WHERE NOT removed`),
  };
}

interface ManagedMessage {
  payload: string;
  properties: { headers?: Record<string, unknown> };
}

async function readBroker(store: Store): Promise<Pick<Facts, 'queues' | 'deadLetters'>> {
  // The counts in the list lag by seconds; the counts of a single queue do not.
  const listed = await store.callManagementApi<{ name: string; exclusive: boolean; type: string }[]>(
    'GET',
    'queues?columns=name,exclusive,type',
  );
  const queues = await Promise.all(
    listed
      // A stream keeps its messages after they were read.
      .filter(({ name, exclusive, type }) => !exclusive && type !== 'stream' && !name.startsWith('chaos.'))
      .map(async ({ name }) => {
        const queue = await store.callManagementApi<Record<string, number> | undefined>(
          'GET',
          `queues/%2F/${encodeURIComponent(name)}`,
        );
        return { name, messages: queue?.messages ?? 0, unacknowledged: queue?.messages_unacknowledged ?? 0 };
      }),
  );
  const deadLetters: Facts['deadLetters'] = [];
  for (const { name, messages } of queues) {
    if (!name.endsWith('.dead') || messages === 0) continue;
    const letters = await store.callManagementApi<ManagedMessage[]>('POST', `queues/%2F/${name}/get`, {
      count: 50,
      ackmode: 'ack_requeue_true',
      encoding: 'auto',
    });
    for (const { payload, properties } of letters) {
      const { headers = {} } = properties;
      deadLetters.push({
        queue: name,
        pattern: /"pattern":"([^"]*)"/.exec(payload)?.[1] ?? '',
        cause: String(headers.cause ?? headers['x-first-death-reason']),
        payload,
      });
    }
  }
  return { queues, deadLetters };
}
