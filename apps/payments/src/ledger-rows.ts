import { randomUUIDv7 } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import type { Posting } from './ledger.ts';

/** Books one transaction. One that does not balance keeps the whole unit of work from being committed. */
export async function post(
  tx: EntityManager,
  { paymentId, orderId }: { paymentId: string; orderId: string },
  postings: readonly Posting[],
): Promise<void> {
  await tx.query(
    `INSERT INTO ledger_entry (transaction_id, payment_id, order_id, account, amount, currency)
     SELECT $1, $2, $3, * FROM unnest($4::text[], $5::bigint[], $6::text[])`,
    [
      randomUUIDv7(),
      paymentId,
      orderId,
      postings.map(({ account }) => account),
      postings.map(({ amount }) => amount),
      postings.map(({ currency }) => currency),
    ],
  );
}

/** What was booked for a payment, oldest first. */
export async function entriesOf(manager: EntityManager, paymentId: string) {
  const rows = (await manager.query(
    'SELECT account, amount, currency, at FROM ledger_entry WHERE payment_id = $1 ORDER BY entry_id',
    [paymentId],
  )) as { account: string; amount: string; currency: string; at: Date }[];
  return rows.map((row) => ({ ...row, amount: Number(row.amount), at: row.at.toISOString() }));
}
