import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { IdentitySettings } from './settings.ts';

/** Limits mails caused by sign-ups, across all instances and restarts. New and taken addresses count alike. */
@Injectable()
export class SignUpMails {
  constructor(private readonly settings: IdentitySettings) {}

  /**
   * Counts a sign-up. @returns whether it may cause a mail
   * @param email the recipient
   * @param network of the client; undefined for internal calls, which have no network limit
   */
  async recordSignUp(tx: EntityManager, email: string, network: string | undefined): Promise<boolean> {
    const { signUpMailsPerRecipient, signUpMailsPerNetwork } = this.settings;
    const counters = [
      { key: `recipient ${hashRecipient(email)}`, limit: signUpMailsPerRecipient, window: '1 day' },
      ...(network ? [{ key: `network ${network}`, limit: signUpMailsPerNetwork, window: '1 hour' }] : []),
    ];
    const rows = await tx.query<{ key: string; sign_ups: number }[]>(insertSignUp, [
      counters.map(({ key }) => key),
      counters.map(({ window }) => window),
    ]);
    return counters.every(({ key, limit }) => rows.find((row) => row.key === key)!.sign_ups <= limit);
  }
}

/** Removes the subaddress (RFC 5233). Hashes the address, so that addresses of non-members are not stored. */
const hashRecipient = (email: string): string =>
  createHash('sha256')
    .update(email.toLowerCase().replace(/\+[^@]*@/, '@'))
    .digest('base64url');

/** Locks rows in key order to prevent deadlocks. */
const insertSignUp = `
  INSERT INTO sign_up_mails AS known (key, sign_ups, until)
  SELECT key, 1, now() + span::interval FROM unnest($1::text[], $2::text[]) AS counter (key, span) ORDER BY key
  ON CONFLICT (key) DO UPDATE SET
    sign_ups = CASE WHEN known.until > now() THEN known.sign_ups + 1 ELSE 1 END,
    until = CASE WHEN known.until > now() THEN known.until ELSE excluded.until END
  RETURNING key, sign_ups`;
