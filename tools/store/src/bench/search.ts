// Searches among 100,000 generated products and prints the latency, in the database and through the service:
// npm run bench:search -- [--products 100000] [--count 500]
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import type { AnyRequest, Input } from '@jogakbo/contract';
import { SearchProducts, SuggestProducts } from '@jogakbo/contracts-search';
import { BrokerConnection, Publisher, RabbitClient } from '@jogakbo/messaging';
import { searchSql, suggestSql } from '@jogakbo/search/src/search-sql.ts';
import { buildTermQuery, buildTypedQuery } from '@jogakbo/search/src/term-query.ts';
import { extractTerms, getText, toNameKeystrokes } from '@jogakbo/search/src/terms.ts';
import { findNearWords, splitWords } from '@jogakbo/search/src/words.ts';
import pg from 'pg';
import { generateProduct, searches, typing } from './made-products.ts';

const { values } = parseArgs({
  options: { products: { type: 'string', default: '100000' }, count: { type: 'string', default: '500' } },
});
const count = Number(values.count);
const { TEST_DATABASE_URL, TEST_RABBITMQ_URL } = process.env;
if (!TEST_DATABASE_URL || !TEST_RABBITMQ_URL) throw new Error('start it with npm run bench:search');

const name = `bench_${randomBytes(4).toString('hex')}`;
const admin = new pg.Client(TEST_DATABASE_URL);
await admin.connect();
await admin.query(`CREATE DATABASE ${name}`);
const url = Object.assign(new URL(TEST_DATABASE_URL), { pathname: `/${name}` }).href;
const environment = {
  DATABASE_URL: url,
  RABBITMQ_URL: TEST_RABBITMQ_URL,
  LOG_LEVEL: 'error',
  LOCAL_MODE: 'true',
  SERVICE_KEY: randomBytes(32).toString('base64url'),
};
const service = (...args: string[]) =>
  spawn(process.execPath, ['apps/search/dist/main.js', ...args], {
    env: { ...process.env, ...environment },
    stdio: 'inherit',
  });
const [code] = (await once(service('migrate'), 'exit')) as [number];
if (code !== 0) throw new Error('the migrations failed');

const database = new pg.Client(url);
await database.connect();
await fill(Number(values.products));

console.log('\nin the database, one at a time              p50       p99');
for (const [kind, query] of Object.entries(searches)) {
  await measure(kind, async (number) => {
    const { matching, exact, ranking, most } = buildTermQuery(splitWords(query(number)), 'all');
    const parameters = [
      matching,
      exact,
      ranking,
      null,
      0,
      Number.MAX_SAFE_INTEGER,
      21,
      null,
      null,
      most,
      null,
      false,
    ];
    await database.query({ name: 'search', text: searchSql.relevance, values: parameters });
  });
}
for (const [kind, query] of Object.entries(typing)) {
  await measure(`typed: ${kind}`, async (number) => {
    const words = splitWords(query(number));
    await database.query({
      name: 'suggest',
      text: suggestSql,
      values: [toNameKeystrokes(words), buildTypedQuery(words), 32],
    });
  });
}

const running = service();
// The service ends with this process, for whatever reason that ends.
process.on('exit', () => running.kill('SIGTERM'));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
const connection = await new BrokerConnection().open(TEST_RABBITMQ_URL, 'bench');
const publisher = new Publisher(connection);
await publisher.open();
const client = new RabbitClient(connection, publisher, 'bench');
await client.connect();
while (!(await client.ask(SuggestProducts, { q: 'a' }).catch(() => undefined)))
  await new Promise((go) => setTimeout(go, 100));

console.log('\nthrough the broker and the handler          p50       p99');
for (const [kind, query] of Object.entries(searches)) {
  await measure(kind, (number) =>
    askForItems(SearchProducts, { q: query(number) }, kind.includes('mistyped')),
  );
}
for (const [kind, query] of Object.entries(typing)) {
  await measure(`typed: ${kind}`, (number) => askForItems(SuggestProducts, { q: query(number) }, true));
}

running.kill('SIGTERM');
await once(running, 'exit');
await client.close();
await connection.close();
await database.end();
await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
await admin.end();

/** Rejects empty answers, which would be too fast. */
async function askForItems<C extends AnyRequest>(
  contract: C,
  input: Input<C>,
  mustMatch: boolean,
): Promise<void> {
  const { items } = (await client.ask(contract, input)) as { items: unknown[] };
  if (mustMatch && items.length === 0) throw new Error(`nothing was found for ${JSON.stringify(input)}`);
}

async function measure(kind: string, run: (number: number) => Promise<void>): Promise<void> {
  for (let number = 0; number < 20; number++) await run(number);
  const times: number[] = [];
  for (let number = 0; number < count; number++) {
    const startedAt = performance.now();
    await run(number);
    times.push(performance.now() - startedAt);
  }
  times.sort((a, b) => a - b);
  const at = (p: number) =>
    `${times[Math.min(count - 1, Math.floor((count * p) / 100))]!.toFixed(1)} ms`.padStart(10);
  console.log(`${kind.padEnd(38)}${at(50)}${at(99)}`);
}

/** Inserts the rows that the events of so many products would create. */
async function fill(products: number): Promise<void> {
  const startedAt = performance.now();
  const vocabulary = new Set<string>();
  for (let from = 0; from < products; from += 1_000) {
    const made = Array.from({ length: Math.min(1_000, products - from) }, (_, at) =>
      generateProduct(from + at),
    );
    const rows = made.map((one) => {
      const terms = extractTerms(one);
      for (const word of terms.vocabulary) vocabulary.add(word);
      return {
        product_id: one.productId,
        version: 1,
        sku: one.sku,
        category: one.category,
        ...one.price,
        image_url: one.imageUrl,
        shown_ko: getText(one, 'ko'),
        shown_en: getText(one, 'en'),
        ...terms,
      };
    });
    await database.query(
      `WITH made AS MATERIALIZED (
         SELECT * FROM jsonb_to_recordset($1::jsonb) AS made (product_id uuid, version int, sku text, category text, amount bigint,
           currency text, image_url text, shown_ko jsonb, shown_en jsonb, terms tsvector, typed tsvector, ko text, en text)
       ), shown AS (
         INSERT INTO product (product_id, version, sku, category, amount, currency, image_url, ko, en)
         SELECT product_id, version, sku, category, amount, currency, image_url, shown_ko, shown_en FROM made
       ), stocked AS (
         INSERT INTO stock (product_id, version, available) SELECT product_id, 1, 10 FROM made
       ), named AS (
         INSERT INTO product_names SELECT product_id, typed, ko, en FROM made
       )
       INSERT INTO product_terms SELECT product_id, category, amount, currency, terms FROM made`,
      [JSON.stringify(rows)],
    );
  }
  for (const word of vocabulary) {
    await database.query('INSERT INTO vocabulary (word, near) VALUES ($1, $2)', [word, findNearWords(word)]);
  }
  await database.query('VACUUM ANALYZE');
  const { rows } = await database.query<{ size: string }>(
    "SELECT pg_size_pretty(pg_total_relation_size('products_1.product_terms')) AS size",
  );
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0);
  console.log(
    `${products} products and ${vocabulary.size} words in ${seconds} s; product_terms with its indexes: ${rows[0]!.size}`,
  );
}
