import { Id, Timestamp, createPageSchema, pageQuery, service } from '@jogakbo/contract';
import { z } from 'zod';

export const notifications = service('notifications', 'Mail to members about what happened to them.');

export const SendMail = notifications.command('send-mail', {
  description: 'Hands a mail that was written to the mail server.',
  input: z.strictObject({ mailId: Id }),
  subject: 'mailId',
});

export const ListMailbox = notifications.query('list-mailbox', {
  description:
    'What the local mail sink has received, newest first. Empty where a real mail server is configured.',
  input: z.strictObject({
    to: z
      .string()
      .max(254)
      .regex(/^[^\u0000-\u001f\u007f]*$/, 'no control characters')
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
