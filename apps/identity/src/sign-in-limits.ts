import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { SignIn } from '@jogakbo/contracts-identity';
import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { recordAudit } from './audit.ts';
import type { Guard } from './hashing.ts';

/** Failures per 15 minutes. Further attempts are rejected until the end of the window. */
const maxPerAddressAndAccount = 10;
const maxPerAddress = 100;
/** Failures of all unknown addresses for one account. Above it, each unknown address has fewer attempts, but not zero. */
const attackThreshold = 200;
const maxPerAddressAndAccountUnderAttack = 2;

interface Attempt {
  email: string;
  address: string;
  memberId: string | undefined;
}

/**
 * Limits password guessing without locking out the owner. Failures are counted per address, and per account and address.
 * Failures from other addresses never lock an account: if many addresses fail for it, each unknown address has fewer
 * attempts. An address with an earlier sign-in of the member keeps the usual limit.
 *
 * Failures are read and counted within the queue slot of the hash. Concurrent guesses exceed a limit by at most the
 * concurrent hashes of each instance.
 */
@Injectable()
export class SignInLimits {
  constructor(private readonly dataSource: DataSource) {}

  /** Guards one password check. `beforeHash` throws Rejection `too-many-attempts`, also for accounts that do not exist. */
  guard(attempt: Attempt): Guard {
    let isKnown = false;
    const { pair, account, address } = getKeys(attempt);
    return {
      beforeHash: async () => {
        const [rows, known] = await Promise.all([
          this.dataSource.query<{ key: string; failures: number; rest: number }[]>(
            `SELECT key, failures, extract(epoch FROM until - now())::float AS rest FROM sign_in_failures
             WHERE key = ANY($1) AND until > now()`,
            [[pair, account, address]],
          ),
          this.dataSource.query<unknown[]>(
            'SELECT 1 FROM known_address JOIN member USING (member_id) WHERE email = $1 AND address = $2',
            [attempt.email, attempt.address],
          ),
        ]);
        isKnown = known.length > 0;
        const findRow = (key: string) => rows.find((row) => row.key === key);
        const countFailures = (key: string) => findRow(key)?.failures ?? 0;
        const isUnderAttack = !isKnown && countFailures(account) >= attackThreshold;
        const limit = isUnderAttack ? maxPerAddressAndAccountUnderAttack : maxPerAddressAndAccount;
        const exceeded = [
          ...(countFailures(pair) >= limit ? [pair] : []),
          ...(!isKnown && countFailures(address) >= maxPerAddress ? [address] : []),
        ];
        if (exceeded.length === 0) return;
        throw SignIn.reject('too-many-attempts', 'too many failed attempts: try again in 15 minutes').until(
          Math.max(...exceeded.map((key) => findRow(key)!.rest)),
        );
      },
      recordFailure: async () => {
        const keys = isKnown ? [pair] : [pair, account, address];
        const rows = await this.dataSource.query<{ key: string; failures: number }[]>(insertFailure, [keys]);
        const hasReached = (key: string, limit: number) =>
          rows.some((row) => row.key === key && row.failures === limit);
        const { memberId } = attempt;
        if (hasReached(pair, maxPerAddressAndAccount) || hasReached(address, maxPerAddress))
          await recordAudit(this.dataSource.manager, 'sign-in-paused', {
            memberId,
            address: attempt.address,
          });
      },
    };
  }

  /** Records a sign-in: deletes the earlier failures, and marks the address as known. */
  async recordSuccess(tx: EntityManager, attempt: Attempt & { memberId: string }): Promise<void> {
    await tx.query('DELETE FROM sign_in_failures WHERE key = $1', [getKeys(attempt).pair]);
    await tx.query(
      `INSERT INTO known_address (member_id, address) VALUES ($1, $2)
       ON CONFLICT (member_id, address) DO UPDATE SET last_seen = now()`,
      [attempt.memberId, attempt.address],
    );
  }
}

/** Locks rows in key order to prevent deadlocks. */
const insertFailure = `
  INSERT INTO sign_in_failures AS known (key, failures, until)
  SELECT key, 1, now() + interval '15 minutes' FROM unnest($1::text[]) AS key ORDER BY key
  ON CONFLICT (key) DO UPDATE SET
    failures = CASE WHEN known.until > now() THEN known.failures + 1 ELSE 1 END,
    until = CASE WHEN known.until > now() THEN known.until ELSE excluded.until END
  RETURNING key, failures`;

/** Hashes the account, so that email addresses of non-members are not stored. */
function getKeys({ email, address }: Attempt) {
  const account = createHash('sha256').update(email).digest('base64url');
  return { pair: `pair ${account} ${address}`, account: `account ${account}`, address: `address ${address}` };
}

/** Returns the source of a request: an IPv4 address or an IPv6 /64, because one customer has all addresses of a /64. */
export function toSource(address: string): string {
  const plain = address.replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/i, '');
  if (!isIPv6(plain)) return plain;
  const [head = '', tail] = plain.split('::') as [string, string?];
  const parts = (text: string | undefined) => (text ? text.split(':') : []);
  const missing = 8 - parts(head).length - parts(tail).length;
  const all = [
    ...parts(head),
    ...Array.from({ length: tail === undefined ? 0 : missing }, () => '0'),
    ...parts(tail),
  ];
  return `${all
    .slice(0, 4)
    .map((part) => parseInt(part, 16).toString(16))
    .join(':')}::/64`;
}
