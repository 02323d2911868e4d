import { randomUUIDv7 } from 'node:crypto';
import type { Money } from '@jogakbo/contract';
import type { DataSource } from 'typeorm';
import type { Behaviour } from './tokens.ts';

export type ChargeStatus = 'pending' | 'authorized' | 'declined' | 'captured' | 'voided' | 'refunded';

export interface Charge {
  reference: string;
  status: ChargeStatus;
  reason: string | null;
  /** Calls under its key, this one included. */
  calls: number;
  /** Milliseconds since it was decided. */
  age: number;
}

/** What the sandbox remembers, in one statement each: several sandboxes may share the table. */
export class Charges {
  constructor(private readonly dataSource: DataSource) {}

  /** The charge of a key: made by the first call, found again by all others. */
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
       RETURNING reference, status, reason, calls,
         (extract(epoch FROM now() - decided_at) * 1000)::int AS age`,
      [key, `ch_${randomUUIDv7()}`, status, declined ?? null, amount, currency, failures],
    )) as [Charge];
    return charge;
  }

  /** What has become of the charge of a key that is not wanted any more. A key that is not known yet is refused later. */
  async cancel(key: string): Promise<ChargeStatus> {
    const [charge] = (await this.dataSource.query(
      `INSERT INTO sandbox_charge (idempotency_key, reference, status) VALUES ($1, $2, 'voided')
       ON CONFLICT (idempotency_key) DO UPDATE SET
         status = CASE WHEN sandbox_charge.status IN ('pending', 'authorized')
                       THEN 'voided' ELSE sandbox_charge.status END
       RETURNING status`,
      [key, `ch_${randomUUIDv7()}`],
    )) as [Charge];
    return charge.status;
  }

  /** Moves a charge on. False where it is neither at `from` nor there already. */
  async move(reference: string, from: ChargeStatus, to: ChargeStatus): Promise<boolean> {
    const [, moved] = (await this.dataSource.query(
      'UPDATE sandbox_charge SET status = $3 WHERE reference = $1 AND status IN ($2, $3)',
      [reference, from, to],
    )) as [unknown, number];
    return moved === 1;
  }
}
