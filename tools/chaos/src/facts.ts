import { createDecipheriv } from 'node:crypto';
import pg from 'pg';
import { stateful } from './services.ts';
import { type Store } from './store.ts';

export interface OrderFact {
  orderId: string;
  memberId: string;
  /** The Idempotency-Key that was written on the parcel. */
  key: string;
  lines: { productId: string; quantity: number }[];
  amount: number;
  /** As the list of orders tells it; null where that does not know the order yet. */
  status: string | null;
  events: { type: string; reason: string | null }[];
}

export interface OutboxFact {
  service: string;
  id: number;
  messageId: string;
  name: string;
  subject: string | null;
  /** Not published, though it should have been by now. */
  open: boolean;
  at: number;
}

/** A read model, built again from the log of its service. */
export interface RebuiltFact {
  service: string;
  name: string;
  /** How many rows it had. */
  rows: number;
  /** The rows that are there only before or only afterwards. */
  differ: string[];
  /** Why it could not be built again. */
  fault?: string;
}

/** What the system says about itself after a run, read past the services: from their databases and from the broker. */
export interface Facts {
  /** When they were read (milliseconds). */
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
  /** What the provider remembers; the key is the payment's id. */
  charges: { orderId: string | null; status: string; amount: number | null }[];
  mails: { orderId: string; kind: string; messageId: string; delivered: number }[];
  /** The ids of what can be bought. */
  products: string[];
  /** What a search can find, and the stock that it shows with it; null where it knows none. */
  found: { productId: string; available: number | null }[];
  /** Empty until they were built again. */
  rebuilt: RebuiltFact[];
  outbox: OutboxFact[];
  queues: { name: string; messages: number; unacknowledged: number }[];
  deadLetters: { queue: string; pattern: string; cause: string; payload: string }[];
  /** The ids of all messages, in the order in which the broker first had them. */
  heard: string[];
  /** Since when somebody listened (milliseconds). */
  heardSince: number;
}

export type Rows = <T>(sql: string) => Promise<T[]>;

/** With a connection to the database of a service. */
export async function within<T>(store: Store, service: string, read: (rows: Rows) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: store.databaseUrl(service),
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

/** Timers are open until they are due, and a second longer. */
const outboxOf = `
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
      within(store, service, async (rows) =>
        (await rows<Omit<OutboxFact, 'service'>>(outboxOf)).map((row) => ({ service, ...row })),
      ),
    ),
  );
  return {
    at: Date.now(),
    ...(await within(store, 'orders', readOrders)),
    ...(await within(store, 'inventory', readInventory)),
    ...(await within(store, 'payments', readPayments)),
    ...(await within(store, 'notifications', readMails)),
    ...(await within(store, 'catalog', readProducts)),
    ...(await within(store, 'search', readFound)),
    rebuilt: [],
    ...(await readBroker(store)),
    outbox: outbox.flat(),
    heard: [...heard],
    heardSince: since,
  };
}

/** What is written on the parcel: personal, so it is stored closed with the member's key. */
function unwrapParcel(sealed: string, key: string): string {
  const bytes = Buffer.from(sealed, 'base64');
  const decipher = createDecipheriv('aes-256-gcm', Buffer.from(key, 'base64'), bytes.subarray(0, 12));
  decipher.setAuthTag(bytes.subarray(-16));
  const text = decipher.update(bytes.subarray(12, -16), undefined, 'utf8') + decipher.final('utf8');
  return (JSON.parse(text) as { line1: string }).line1;
}

async function readOrders(rows: Rows): Promise<Pick<Facts, 'orders' | 'sagas'>> {
  const orders: (OrderFact & { sealed: string })[] = await rows(`
    SELECT o."orderId", o."memberId", o.events, o.placed->'lines' AS lines,
      (o.placed#>>'{total,amount}')::float8 AS amount, o.placed#>>'{shipTo,sealed}' AS sealed,
      (SELECT encode(key, 'base64') FROM personal_key WHERE person = o."memberId") AS key,
      (SELECT status FROM order_summary WHERE order_id::text = o."orderId") AS status
    FROM (
      SELECT subject AS "orderId", min(data->>'memberId') AS "memberId",
        (json_agg(data) FILTER (WHERE version = 1))->0 AS placed,
        json_agg(json_build_object('type', type, 'reason', data->>'reason') ORDER BY version) AS events
      FROM event WHERE stream = 'order' GROUP BY subject
    ) o`);
  return {
    orders: orders.map(({ sealed, key, ...order }) => ({ ...order, key: unwrapParcel(sealed, key) })),
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

async function readFound(rows: Rows): Promise<Pick<Facts, 'found'>> {
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
  // The counts of the list are seconds old; those of one queue are not.
  const listed = await store.manage<{ name: string; exclusive: boolean; type: string }[]>(
    'GET',
    'queues?columns=name,exclusive,type',
  );
  const queues = await Promise.all(
    listed
      // A stream keeps what was read from it.
      .filter(({ name, exclusive, type }) => !exclusive && type !== 'stream' && !name.startsWith('chaos.'))
      .map(async ({ name }) => {
        const queue = await store.manage<Record<string, number> | undefined>(
          'GET',
          `queues/%2F/${encodeURIComponent(name)}`,
        );
        return { name, messages: queue?.messages ?? 0, unacknowledged: queue?.messages_unacknowledged ?? 0 };
      }),
  );
  const deadLetters: Facts['deadLetters'] = [];
  for (const { name, messages } of queues) {
    if (!name.endsWith('.dead') || messages === 0) continue;
    const letters = await store.manage<ManagedMessage[]>('POST', `queues/%2F/${name}/get`, {
      ...{ count: 50, ackmode: 'ack_requeue_true', encoding: 'auto' },
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
