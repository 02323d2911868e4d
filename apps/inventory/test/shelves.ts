import { randomUUIDv7 } from 'node:crypto';
import { ProductAdded } from '@jogakbo/contracts-catalog';
import {
  ExpireReservation,
  GetStock,
  ReceiveStock,
  ReserveStock,
  StockReserved,
} from '@jogakbo/contracts-inventory';
import { isAbout, eventually, ServiceUnderTest } from '@jogakbo/testing';
import { InventoryModule } from '../src/inventory.module.ts';

export const ids = (count: number): string[] => Array.from({ length: count }, () => randomUUIDv7());

/** The service under test, with products in stock. */
export class InventoryFixture {
  private constructor(readonly inventory: ServiceUnderTest) {}

  static async start(environment: NodeJS.ProcessEnv = {}): Promise<InventoryFixture> {
    return new InventoryFixture(await ServiceUnderTest.start(InventoryModule, environment));
  }

  /** Inserts many stock rows directly, without messages. */
  async insertProducts(count: number, quantity: number): Promise<string[]> {
    const productIds = ids(count);
    await this.inventory.query(
      'INSERT INTO stock (product_id, on_hand, received) SELECT id, $2, $2 FROM unnest($1::uuid[]) AS id',
      [productIds, quantity],
    );
    return productIds;
  }

  async addProduct(quantity: number): Promise<string> {
    const productId = randomUUIDv7();
    await this.inventory.announce(
      ProductAdded({
        productId,
        sku: productId,
        name: '조각보',
        description: '',
        category: 'textiles',
        price: { amount: 42_000, currency: 'KRW' },
        imageUrl: 'https://127.0.0.1/cloth.svg',
        version: 1,
        translations: {},
      }),
    );
    await eventually(() => this.readPlaces(productId));
    if (quantity > 0) await this.inventory.ask(ReceiveStock, { productId, quantity });
    return productId;
  }

  async reserve(productId: string, quantity: number): Promise<string> {
    const orderId = randomUUIDv7();
    await this.inventory.send(ReserveStock({ orderId, lines: [{ productId, quantity }] }));
    await this.inventory.waitForEvent(StockReserved, isAbout('orderId', orderId));
    return orderId;
  }

  /** Waits until earlier messages about the order are handled. Messages about one order are handled in order. */
  async waitUntilHandled(orderId: string): Promise<void> {
    await this.inventory.ask(ExpireReservation, { orderId });
  }

  async readAvailable(productId: string): Promise<number> {
    return (await this.inventory.ask(GetStock, { productId })).available;
  }

  async readPlaces(productId: string): Promise<unknown> {
    const [places] = await this.inventory.query(
      `SELECT on_hand::int AS "onHand", reserved::int, sold::int, received::int FROM stock WHERE product_id = $1`,
      [productId],
    );
    return places;
  }

  async readStatuses(orders: string[]): Promise<string[]> {
    const rows = await this.inventory.query<{ status: string }>(
      'SELECT status FROM reservation WHERE order_id = ANY($1)',
      [orders],
    );
    return rows.map(({ status }) => status);
  }

  /** Finds products whose counts contradict each other or the reservations. */
  findInconsistencies(): Promise<unknown[]> {
    return this.inventory.query(`
      SELECT product_id, stock.*, held, bought FROM stock
      CROSS JOIN LATERAL (
        SELECT coalesce(sum((line->>'quantity')::bigint) FILTER (WHERE status = 'held'), 0) AS held,
               coalesce(sum((line->>'quantity')::bigint) FILTER (WHERE status = 'sold'), 0) AS bought
        FROM reservation, jsonb_array_elements(lines) AS line WHERE line->>'productId' = product_id::text
      ) AS owed
      WHERE on_hand + reserved + sold <> received OR least(on_hand, reserved, sold) < 0
         OR reserved <> held OR sold <> bought`);
  }

  /** Reads the failed attempts by message. A successful retry hides them otherwise. */
  async readFaults(): Promise<string[]> {
    const metrics = await (await fetch(`${this.inventory.url}/metrics`)).text();
    return (metrics.match(/^messages_handled_seconds_count.*/gm) ?? []).filter((line) =>
      line.includes('outcome="fault"'),
    );
  }
}
