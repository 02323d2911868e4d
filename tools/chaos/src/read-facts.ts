import pg from 'pg';
import { type ChaosModule } from './chaos-module.ts';
import { type OutboxFact, type SagaFact, type Facts } from './facts.ts';
import { stateful } from './services.ts';
import { type Store } from './store.ts';

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

const sagaQuery = `
  SELECT name, key, ended_at IS NOT NULL AS ended,
    ARRAY(SELECT step->>'event' FROM json_array_elements(history) AS step) AS steps
  FROM saga`;

async function readMessages(store: Store, service: string): Promise<Pick<Facts, 'outbox' | 'sagas'>> {
  return withDatabase(store, service, async (rows) => {
    const outbox = await rows<Omit<OutboxFact, 'service'>>(outboxQuery);
    const [table] = await rows<{ known: boolean }>(`SELECT to_regclass('saga') IS NOT NULL AS known`);
    return {
      outbox: outbox.map((row) => ({ service, ...row })),
      sagas: table!.known ? await rows<SagaFact>(sagaQuery) : [],
    };
  });
}

/** Reads the facts of the platform, and those of the product. */
export async function readFacts(
  store: Store,
  { heard, since }: { heard: readonly string[]; since: number },
  module: ChaosModule,
): Promise<Facts> {
  const messages = await Promise.all(stateful.map((service) => readMessages(store, service)));
  return {
    at: Date.now(),
    ...(await module.readFacts(store)),
    rebuilt: [],
    ...(await readBroker(store)),
    outbox: messages.flatMap(({ outbox }) => outbox),
    sagas: messages.flatMap(({ sagas }) => sagas),
    heard: [...heard],
    heardSince: since,
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
