import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CliError, toMessage } from '@jogakbo/cli/src/terminal/cli-error.ts';
import { products, type SeedProduct } from './seed-products.ts';
import { readStaff } from '@jogakbo/cli/src/supervisor/staff.ts';
import { type SeedOptions } from '@jogakbo/cli/src/supervisor/seed-module.ts';
import { readJson, writeJson } from '@jogakbo/cli/src/supervisor/state.ts';

const concurrency = 8;
const retryTimeoutMs = 20_000;

export const services = ['catalog'];

/** Adds the products and their stock through the public HTTP API, as the merchant. Idempotent. */
export async function seed(options: SeedOptions): Promise<string> {
  const { state, identity, force, note } = options;
  const path = join(state.folder, 'seeded.json');
  const version = createHash('sha256').update(JSON.stringify(products)).digest('hex').slice(0, 16);
  const done = readJson<{ identity: string; version: string }>(path);
  if (!force && done?.identity === identity && done.version === version) return 'already seeded';

  const client = new StoreClient(options);
  await client.signIn();
  let finished = 0;
  const queue = [...products];
  const worker = async () => {
    for (let product = queue.shift(); product; product = queue.shift()) {
      await seedProduct(client, product);
      finished += 1;
      if (finished % 20 === 0) note(`${finished}/${products.length} products`);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  writeJson(path, { identity, version });
  return `${products.length} products with stock`;
}

async function seedProduct(client: StoreClient, product: SeedProduct): Promise<void> {
  const { sku, category, price, stock, korean, english } = product;
  const { productId } = await client.post<{ productId: string }>('/v1/products', `seed-${sku}`, {
    sku,
    ...korean,
    category,
    price: { amount: price, currency: 'KRW' },
    translations: { en: english },
  });
  // Inventory receives a new product by an event, so it may respond with 404 at first.
  await client.post(`/v1/stock/${productId}/receipts`, `seed-${sku}-stock`, { quantity: stock }, [404]);
}

class StoreClient {
  readonly #options: SeedOptions;
  #token = '';

  constructor(options: SeedOptions) {
    this.#options = options;
  }

  async signIn(): Promise<void> {
    const merchant = readStaff(this.#options.state).find(({ roles }) => roles.includes('merchant'));
    if (!merchant)
      throw new CliError('staff.json has no merchant.', {
        remedies: ['start the store:  npm start'],
      });
    const { email, password } = merchant;
    const { accessToken } = await this.post<{ accessToken: string }>('/v1/sessions', undefined, {
      email,
      password,
    });
    this.#token = accessToken;
  }

  /** Retries on overload, restarts and the status codes in `retryStatuses`. */
  async post<T>(
    path: string,
    key: string | undefined,
    body: unknown,
    retryStatuses: number[] = [],
  ): Promise<T> {
    const until = Date.now() + retryTimeoutMs;
    for (let wait = 50; ; wait = Math.min(wait * 2, 1_000)) {
      this.#options.abort?.throwIfAborted();
      const answer = await this.#once(path, key, body);
      if (answer.status >= 200 && answer.status < 300) return answer.body as T;
      const isTransient =
        answer.status === 0 || answer.status === 409 || answer.status === 429 || answer.status >= 500;
      if (Date.now() > until || (!isTransient && !retryStatuses.includes(answer.status))) {
        throw new CliError(
          `The store could not be seeded: POST ${path} returned ${answer.status || 'no response'}.`,
          {
            details: [JSON.stringify(answer.body).slice(0, 600)],
            remedies: [
              'npx jogakbo logs gateway catalog inventory',
              'then:  npm run seed',
              'or start without sample products:  npm start -- --no-seed',
            ],
          },
        );
      }
      await pause(wait);
    }
  }

  async #once(
    path: string,
    key: string | undefined,
    body: unknown,
  ): Promise<{ status: number; body: unknown }> {
    try {
      const response = await fetch(`${this.#options.url.replace('//localhost', '//127.0.0.1')}${path}`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(key ? { 'idempotency-key': key } : {}),
          ...(this.#token ? { authorization: `Bearer ${this.#token}` } : {}),
        },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(15_000),
      });
      const text = await response.text();
      try {
        return { status: response.status, body: JSON.parse(text) };
      } catch {
        return { status: response.status, body: text };
      }
    } catch (error) {
      return { status: 0, body: toMessage(error) };
    }
  }
}
