import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { SignIn } from '@jogakbo/contracts-identity';
import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { recordAudit } from './audit.ts';
import type { Guard } from './hashing.ts';

/** Failures within a quarter of an hour after which there is a pause until its end. */
const ofAddressForAccount = 10;
const ofAddress = 100;
/** Of all strangers for one account. After it each of them has fewer tries; nobody has none. */
const ofAccount = 200;
const ofAddressForAccountUnderAttack = 2;

interface Place {
  email: string;
  address: string;
  memberId: string | undefined;
}

/**
 * Slows guessing down and locks no owner out. Failures are counted for an account from an address, and for an address.
 * What strangers do elsewhere never closes an account: where many addresses fail for one, each new address has
 * fewer tries, and an address from which the member has signed in before has as many as always.
 *
 * The count is looked at in the turn of the hash and raised within it: guesses sent side by side go over a limit by the
 * hashes at once of each instance, and not by more.
 */
@Injectable()
export class SignInLimits {
  constructor(private readonly dataSource: DataSource) {}

  /** Guards one comparison. @throws Rejection `too-many-attempts`, from `before`: the same for accounts that do not exist */
  guard(place: Place): Guard {
    let isKnown = false;
    const { pair, account, address } = getKeys(place);
    return {
      before: async () => {
        const [rows, known] = await Promise.all([
          this.dataSource.query<{ key: string; failures: number; rest: number }[]>(
            `SELECT key, failures, extract(epoch FROM until - now())::float AS rest FROM sign_in_failures
             WHERE key = ANY($1) AND until > now()`,
            [[pair, account, address]],
          ),
          this.dataSource.query<unknown[]>(
            'SELECT 1 FROM known_address JOIN member USING (member_id) WHERE email = $1 AND address = $2',
            [place.email, place.address],
          ),
        ]);
        isKnown = known.length > 0;
        const of = (key: string) => rows.find((row) => row.key === key);
        const failures = (key: string) => of(key)?.failures ?? 0;
        const underAttack = !isKnown && failures(account) >= ofAccount;
        const limit = underAttack ? ofAddressForAccountUnderAttack : ofAddressForAccount;
        const closed = [
          ...(failures(pair) >= limit ? [pair] : []),
          ...(!isKnown && failures(address) >= ofAddress ? [address] : []),
        ];
        if (closed.length === 0) return;
        throw SignIn.reject(
          'too-many-attempts',
          'too many failed attempts: try again in a quarter of an hour',
        ).until(Math.max(...closed.map((key) => of(key)!.rest)));
      },
      failed: async () => {
        const keys = isKnown ? [pair] : [pair, account, address];
        const rows = await this.dataSource.query<{ key: string; failures: number }[]>(countFailure, [keys]);
        const reached = (key: string, limit: number) =>
          rows.some((row) => row.key === key && row.failures === limit);
        const { memberId } = place;
        if (reached(pair, ofAddressForAccount) || reached(address, ofAddress))
          await recordAudit(this.dataSource.manager, 'sign-in-paused', {
            ...{ memberId, address: place.address },
          });
      },
    };
  }

  /** A member has signed in from here: the failures of before are forgotten, and the address is known from now on. */
  async succeeded(tx: EntityManager, place: Place & { memberId: string }): Promise<void> {
    await tx.query('DELETE FROM sign_in_failures WHERE key = $1', [getKeys(place).pair]);
    await tx.query(
      `INSERT INTO known_address (member_id, address) VALUES ($1, $2)
       ON CONFLICT (member_id, address) DO UPDATE SET last_seen = now()`,
      [place.memberId, place.address],
    );
  }
}

/** In one order, so that two of them never wait for each other. */
const countFailure = `
  INSERT INTO sign_in_failures AS known (key, failures, until)
  SELECT key, 1, now() + interval '15 minutes' FROM unnest($1::text[]) AS key ORDER BY key
  ON CONFLICT (key) DO UPDATE SET
    failures = CASE WHEN known.until > now() THEN known.failures + 1 ELSE 1 END,
    until = CASE WHEN known.until > now() THEN known.until ELSE excluded.until END
  RETURNING key, failures`;

/** An account by its hash: addresses of people who are no members are not kept. */
function getKeys({ email, address }: Place) {
  const account = createHash('sha256').update(email).digest('base64url');
  return { pair: `pair ${account} ${address}`, account: `account ${account}`, address: `address ${address}` };
}

/** Where a request comes from. Of IPv6 the network: one customer has all addresses of a /64. */
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
