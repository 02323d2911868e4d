import { Id, Timestamp, createPageSchema, pageQuery, service } from '@jogakbo/contract';
import { z } from 'zod';

export const notifications = service('notifications', 'Mail to members about their accounts and orders.');

export const SendMail = notifications.command('send-mail', {
  description: 'Sends a stored mail to the mail server.',
  input: z.strictObject({ mailId: Id }),
  subject: 'mailId',
});

export const ListMailbox = notifications.query('list-mailbox', {
  description: 'The mails in the local mail sink, newest first. Empty if a real mail server is configured.',
  input: z.strictObject({
    to: z
      .string()
      .max(254)
      .regex(/^[^\u0000-\u001f\u007f]*$/, 'must not contain control characters')
      .optional(),
    ...pageQuery,
  }),
  output: createPageSchema(
    z.object({
      mailId: Id,
      messageId: z.string(),
      from: z.string(),
      to: z.string(),
      subject: z.string(),
      text: z.string(),
      html: z.string(),
      receivedAt: Timestamp,
    }),
  ),
  rejections: { 'unknown-cursor': 400 },
  http: 'GET /v1/ops/mailbox',
  access: 'operator',
});
