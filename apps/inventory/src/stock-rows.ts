import { StockChanged } from '@jogakbo/contracts-inventory';
import type { UnitOfWork } from '@jogakbo/consistency';
import type { EntityManager } from 'typeorm';
import { applyMovement, type Line, type Movement, type Stock } from './stock.ts';

type Row = Record<'product_id' | 'on_hand' | 'reserved' | 'sold' | 'received' | 'version', string>;

/**
 * Locks the stock of these products until the transaction ends, without unknown ones. Locks in the order of the product
 * ids, so that orders with the same products do not deadlock.
 */
export async function lockStock(tx: EntityManager, lines: readonly Line[]): Promise<Map<string, Stock>> {
  const rows = (await tx.query(
    `SELECT product_id, on_hand, reserved, sold, received, version FROM stock
     WHERE product_id = ANY($1) ORDER BY product_id FOR UPDATE`,
    [lines.map(({ productId }) => productId)],
  )) as Row[];
  return new Map(
    rows.map((row) => [
      row.product_id,
      {
        productId: row.product_id,
        onHand: Number(row.on_hand),
        reserved: Number(row.reserved),
        sold: Number(row.sold),
        received: Number(row.received),
        version: Number(row.version),
      },
    ]),
  );
}

/**
 * Moves pieces of locked stock. Publishes `stock-changed` for each product whose available number changes.
 * @param stock from `lockStock` in the same unit of work
 */
export function moveStock(
  { write, publish }: UnitOfWork,
  stock: ReadonlyMap<string, Stock>,
  lines: readonly Line[],
  movement: Movement,
): void {
  const after = lines.map(({ productId, quantity }) => {
    const before = stock.get(productId);
    if (!before) throw new Error(`product ${productId} has no stock record`);
    return applyMovement(before, movement, quantity);
  });
  write(
    `UPDATE stock SET on_hand = new.on_hand, reserved = new.reserved, sold = new.sold, received = new.received,
       version = new.version
     FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::int[])
       AS new (product_id, on_hand, reserved, sold, received, version)
     WHERE stock.product_id = new.product_id`,
    [
      after.map(({ productId }) => productId),
      after.map(({ onHand }) => onHand),
      after.map(({ reserved }) => reserved),
      after.map(({ sold }) => sold),
      after.map(({ received }) => received),
      after.map(({ version }) => version),
    ],
  );
  for (const { productId, onHand, version } of after) {
    if (onHand !== stock.get(productId)!.onHand)
      publish(StockChanged({ productId, available: onHand, version }));
  }
}
