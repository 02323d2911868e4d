import { randomUUIDv7 } from 'node:crypto';
import { Projector } from '@jogakbo/consistency';
import type { AnyEvent, Body, Message } from '@jogakbo/contract';
import { ProductAdded } from '@jogakbo/contracts-catalog';
import { StockChanged } from '@jogakbo/contracts-inventory';
import { eventually, ServiceUnderTest } from '@jogakbo/testing';
import { SearchModule } from '../src/search.module.ts';

type Product = Body<typeof ProductAdded>;

/** The service under test, fed by the events that catalog and inventory would announce; nobody else is there. */
export class Shelf {
  private constructor(readonly search: ServiceUnderTest) {}

  static async open(): Promise<Shelf> {
    return new Shelf(await ServiceUnderTest.start(SearchModule));
  }

  close(): Promise<void> {
    return this.search.stop();
  }

  /** Puts a product on sale and waits until it can be found. */
  async put(
    name: string,
    english: string,
    { amount = 1_000, currency = 'KRW', category = 'textiles', ko = '', en = '', sku = '' } = {},
  ): Promise<Product> {
    const productId = randomUUIDv7();
    const product: Product = {
      ...{ productId, sku: sku || productId, name, description: ko, category, version: 1 },
      ...{ price: { amount, currency }, imageUrl: 'https://127.0.0.1/cloth.svg' },
      translations: { en: { name: english, description: en } },
    };
    await this.hears(ProductAdded(product));
    return product;
  }

  stock(productId: string, available: number, version = 1): Promise<void> {
    return this.hears(StockChanged({ productId, available, version }));
  }

  /** Announces an event and waits until it is in the log (each leaves one row in the inbox) and in the read model. */
  async hears(message: Message<AnyEvent>): Promise<void> {
    const count = () => this.search.query<{ count: number }>('SELECT count(*)::int FROM inbox');
    const [before] = await count();
    await this.search.announce(message);
    await eventually(async () => (await count())[0]!.count > before!.count);
    await this.search.get(Projector).caughtUp('products', 10_000);
  }

  /** Everything that the events so far have written. */
  async rows(): Promise<unknown> {
    const [rows] = await this.search.query(`
      SELECT (SELECT json_agg(product ORDER BY product_id) FROM product) AS product,
             (SELECT json_agg(stock ORDER BY product_id) FROM stock) AS stock,
             (SELECT json_agg(product_terms ORDER BY product_id) FROM product_terms) AS terms,
             (SELECT json_agg(product_names ORDER BY product_id) FROM product_names) AS names,
             (SELECT json_agg(vocabulary ORDER BY word) FROM vocabulary) AS vocabulary`);
    return rows;
  }

  /** Messages that failed so far, by kind: the attempt after would hide them otherwise. */
  async faults(): Promise<string[]> {
    const metrics = await (await fetch(`${this.search.url}/metrics`)).text();
    return (metrics.match(/^messages_handled_seconds_count.*/gm) ?? []).filter((line) =>
      line.includes('outcome="fault"'),
    );
  }
}
