import { randomUUIDv7 } from 'node:crypto';
import type { Money } from '@jogakbo/contracts-commerce';
import type { DataSource } from 'typeorm';
import type { Behaviour } from './tokens.ts';

export type ChargeStatus = 'pending' | 'authorized' | 'declined' | 'captured' | 'voided' | 'refunded';

export interface Charge {
  reference: string;
  status: ChargeStatus;
  reason: string | null;
  /** Calls with its idempotency key, including this one. */
  calls: number;
  /** Milliseconds since the decision. */
  age: number;
}

const columns =
  'reference, status, reason, calls, (extract(epoch FROM now() - decided_at) * 1000)::int AS age';

/** The charges of the sandbox. Each method is one atomic statement: several sandboxes may share the table. */
export class Charges {
  constructor(private readonly dataSource: DataSource) {}

  /** Returns the charge of a key: the first call creates it. */
  async charge(
    key: string,
    { amount, currency }: Money,
    { declined, failures = 0 }: Behaviour,
  ): Promise<Charge> {
    const status = failures > 0 ? 'pending' : declined ? 'declined' : 'authorized';
    const [charge] = (await this.dataSource.query(
      `INSERT INTO sandbox_charge (idempotency_key, reference, status, reason, amount, currency)
       VALUES ($1, $2, $3, $4, $5, $6)
       ON CONFLICT (idempotency_key) DO UPDATE SET
         calls = sandbox_charge.calls + 1,
         status = CASE WHEN sandbox_charge.status = 'pending' AND sandbox_charge.calls >= $7
                       THEN 'authorized' ELSE sandbox_charge.status END
       RETURNING ${columns}`,
      [key, `ch_${randomUUIDv7()}`, status, declined ?? null, amount, currency, failures],
    )) as [Charge];
    return charge;
  }

  /** Voids the charge of a key if it is pending or authorized, and returns it. An unused key is blocked. */
  async cancel(key: string): Promise<Charge> {
    const [charge] = (await this.dataSource.query(
      `INSERT INTO sandbox_charge (idempotency_key, reference, status) VALUES ($1, $2, 'voided')
       ON CONFLICT (idempotency_key) DO UPDATE SET
         status = CASE WHEN sandbox_charge.status IN ('pending', 'authorized')
                       THEN 'voided' ELSE sandbox_charge.status END
       RETURNING ${columns}`,
      [key, `ch_${randomUUIDv7()}`],
    )) as [Charge];
    return charge;
  }

  /** Moves a charge to `to` if its status is `from`, and returns it; undefined if there is none. */
  async move(reference: string, from: ChargeStatus, to: ChargeStatus): Promise<Charge | undefined> {
    const [[charge]] = (await this.dataSource.query(
      `UPDATE sandbox_charge SET status = CASE WHEN status = $2 THEN $3 ELSE status END
       WHERE reference = $1 RETURNING ${columns}`,
      [reference, from, to],
    )) as [Charge[], number];
    return charge;
  }
}
