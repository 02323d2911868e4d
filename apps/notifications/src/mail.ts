import { randomUUIDv7 } from 'node:crypto';
import { SendMail } from '@jogakbo/contracts-notifications';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Column, CreateDateColumn, Entity, PrimaryColumn } from 'typeorm';
import type { RenderedMail } from './layout.ts';
import type { Member } from './member.ts';

export type MailKind =
  | 'welcome'
  | 'sign-up-repeated'
  | 'order-confirmed'
  | 'order-rejected'
  | 'order-cancelled'
  | 'order-refunded';

/** A mail as it was written, sent or not. */
@Entity('mail')
export class Mail {
  @PrimaryColumn('uuid', { name: 'mail_id' })
  mailId: string;

  /** Derived from the event id: repeated deliveries of an event give the same mail, also for the recipient. */
  @Column('text', { name: 'message_id' })
  messageId: string;

  @Column('text')
  to: string;

  @Column('text')
  subject: string;

  @Column('text')
  text: string;

  @Column('text')
  html: string;

  @Column('text')
  kind: MailKind;

  /** The order that it is about. */
  @Column('uuid', { nullable: true })
  about: string | null;

  /** Rises with the order of writing among mails about the same order. */
  @Column({ type: 'bigint', insert: false, update: false })
  position: string;

  @CreateDateColumn({ type: 'timestamptz', name: 'created_at' })
  createdAt: Date;

  @Column('timestamptz', { name: 'sent_at', nullable: true })
  sentAt: Date | null;
}

/**
 * Writes the one mail for the current event, and publishes the command that sends it. The command goes through the
 * outbox (`publishLater`, not `send`): an unavailable mail server must not roll back this transaction, and a failed
 * transaction must not have sent anything.
 */
export async function writeMail(
  { tx, incoming, publishLater }: UnitOfWork,
  { email }: Pick<Member, 'email'>,
  kind: MailKind,
  rendered: RenderedMail,
  about: string | null = null,
): Promise<void> {
  const mailId = randomUUIDv7();
  const messageId = `<${incoming.messageId}@jogakbo.example>`;
  const { subject, text, html } = rendered;
  const written = (await tx.query(
    `INSERT INTO mail (mail_id, message_id, "to", subject, text, html, kind, about)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING mail_id`,
    [mailId, messageId, email, subject, text, html, kind, about],
  )) as unknown[];
  if (written.length > 0) publishLater(SendMail({ mailId }), 0);
}
