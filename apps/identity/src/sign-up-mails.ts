import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { IdentitySettings } from './settings.ts';

/** Limits the mails that sign-ups cause, over all instances and restarts. Counts for fresh and for taken addresses alike. */
@Injectable()
export class SignUpMails {
  constructor(private readonly settings: IdentitySettings) {}

  /**
   * Counts a sign-up, and tells whether it may cause a mail.
   * @param email the recipient
   * @param network of the client; undefined for a service of the store, which has no limit of its own
   */
  async mayMail(tx: EntityManager, email: string, network: string | undefined): Promise<boolean> {
    const { signUpMailsPerRecipient, signUpMailsPerNetwork } = this.settings;
    const counters = [
      { key: `recipient ${hashRecipient(email)}`, limit: signUpMailsPerRecipient, window: '1 day' },
      ...(network ? [{ key: `network ${network}`, limit: signUpMailsPerNetwork, window: '1 hour' }] : []),
    ];
    const rows = await tx.query<{ key: string; sign_ups: number }[]>(countSignUp, [
      counters.map(({ key }) => key),
      counters.map(({ window }) => window),
    ]);
    return counters.every(({ key, limit }) => rows.find((row) => row.key === key)!.sign_ups <= limit);
  }
}

/** One mailbox for all its subaddresses (RFC 5233), and by its hash: addresses of people who are no members are not kept. */
const hashRecipient = (email: string): string =>
  createHash('sha256')
    .update(email.toLowerCase().replace(/\+[^@]*@/, '@'))
    .digest('base64url');

/** In one order, so that two of them never wait for each other. */
const countSignUp = `
  INSERT INTO sign_up_mails AS known (key, sign_ups, until)
  SELECT key, 1, now() + span::interval FROM unnest($1::text[], $2::text[]) AS counter (key, span) ORDER BY key
  ON CONFLICT (key) DO UPDATE SET
    sign_ups = CASE WHEN known.until > now() THEN known.sign_ups + 1 ELSE 1 END,
    until = CASE WHEN known.until > now() THEN known.until ELSE excluded.until END
  RETURNING key, sign_ups`;
