import type { Money } from '@jogakbo/contract';
import { Column, Entity, PrimaryColumn, type EntityManager } from 'typeorm';
import { TooEarly, type PaymentStatus } from './payment.ts';

const integer = {
  to: (value: number | null) => value,
  from: (value: string | null) => (value === null ? null : Number(value)),
};

/** A payment as it is kept, one an order. */
@Entity('payment')
export class PaymentRow {
  @PrimaryColumn('uuid', { name: 'payment_id' })
  paymentId: string;

  @Column('uuid', { name: 'order_id' })
  orderId: string;

  @Column('text')
  status: PaymentStatus;

  @Column('uuid', { name: 'member_id', nullable: true })
  memberId: string | null;

  @Column('bigint', { transformer: integer, nullable: true })
  amount: number | null;

  @Column('char', { length: 3, nullable: true })
  currency: string | null;

  @Column('text', { name: 'provider_reference', nullable: true })
  providerReference: string | null;

  @Column('text', { nullable: true })
  reason: string | null;

  @Column('integer')
  version: number;

  @Column('timestamptz', { name: 'updated_at' })
  updatedAt: Date;
}

export const findPayment = (manager: EntityManager, orderId: string): Promise<PaymentRow | null> =>
  manager.findOneBy(PaymentRow, { orderId });

/** False where the order has a payment already; that one stays as it is. */
export async function addPayment(tx: EntityManager, payment: Partial<PaymentRow>): Promise<boolean> {
  const row = { ...payment, version: 1, updatedAt: new Date() };
  const insert = tx.createQueryBuilder().insert().into(PaymentRow).values(row).orIgnore();
  const { raw } = await insert.returning('payment_id').execute();
  return (raw as unknown[]).length > 0;
}

/**
 * Changes a payment that is still as it was read before the provider was asked.
 * @throws TooEarly where somebody else changed it meanwhile
 */
export async function changePayment(
  tx: EntityManager,
  { paymentId, version }: PaymentRow,
  changes: Partial<PaymentRow>,
): Promise<void> {
  const { affected } = await tx.update(
    PaymentRow,
    { paymentId, version },
    { ...changes, version: version + 1, updatedAt: new Date() },
  );
  if (affected !== 1) throw new TooEarly(`payment ${paymentId} changed while the provider was being asked`);
}

/** @throws Error for a payment that stands for nothing but the end of its order */
export function moneyOf({ paymentId, amount, currency }: PaymentRow): Money {
  if (amount === null || currency === null) throw new Error(`payment ${paymentId} is about no money`);
  return { amount, currency };
}
