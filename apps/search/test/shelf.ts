import { randomUUIDv7 } from 'node:crypto';
import { Projector } from '@jogakbo/consistency';
import type { AnyEvent, Body, Message } from '@jogakbo/contract';
import { ProductAdded } from '@jogakbo/contracts-catalog';
import { StockChanged } from '@jogakbo/contracts-inventory';
import { eventually, ServiceUnderTest } from '@jogakbo/testing';
import { SearchModule } from '../src/search.module.ts';

type Product = Body<typeof ProductAdded>;

/** The service under test without other services. It receives events as catalog and inventory would publish them. */
export class SearchFixture {
  private constructor(readonly search: ServiceUnderTest) {}

  static async start(): Promise<SearchFixture> {
    return new SearchFixture(await ServiceUnderTest.start(SearchModule));
  }

  stop(): Promise<void> {
    return this.search.stop();
  }

  /** Adds a product and waits until it can be found. */
  async add(
    name: string,
    english: string,
    { amount = 1_000, currency = 'KRW', category = 'textiles', ko = '', en = '', sku = '' } = {},
  ): Promise<Product> {
    const productId = randomUUIDv7();
    const product: Product = {
      productId,
      sku: sku || productId,
      name,
      description: ko,
      category,
      version: 1,
      price: { amount, currency },
      imageUrl: 'https://127.0.0.1/cloth.svg',
      translations: { en: { name: english, description: en } },
    };
    await this.publishAndWait(ProductAdded(product));
    return product;
  }

  setStock(productId: string, available: number, version = 1): Promise<void> {
    return this.publishAndWait(StockChanged({ productId, available, version }));
  }

  /** Publishes an event and waits until it is in the log (one inbox row per event) and in the read model. */
  async publishAndWait(message: Message<AnyEvent>): Promise<void> {
    const count = () => this.search.query<{ count: number }>('SELECT count(*)::int FROM inbox');
    const [before] = await count();
    await this.search.announce(message);
    await eventually(async () => (await count())[0]!.count > before!.count);
    await this.search.get(Projector).waitUntilCurrent('products', 10_000);
  }

  /** Reads all rows of the read model. */
  async readRows(): Promise<unknown> {
    const [rows] = await this.search.query(`
      SELECT (SELECT json_agg(product ORDER BY product_id) FROM product) AS product,
             (SELECT json_agg(stock ORDER BY product_id) FROM stock) AS stock,
             (SELECT json_agg(product_terms ORDER BY product_id) FROM product_terms) AS terms,
             (SELECT json_agg(product_names ORDER BY product_id) FROM product_names) AS names,
             (SELECT json_agg(vocabulary ORDER BY word) FROM vocabulary) AS vocabulary`);
    return rows;
  }

  /** Reads the failed attempts by message. A successful retry hides them otherwise. */
  async readFaults(): Promise<string[]> {
    const metrics = await (await fetch(`${this.search.url}/metrics`)).text();
    return (metrics.match(/^messages_handled_seconds_count.*/gm) ?? []).filter((line) =>
      line.includes('outcome="fault"'),
    );
  }
}
