import { toPage, type Body } from '@jogakbo/contract';
import { ListMailbox } from '@jogakbo/contracts-notifications';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import PostalMime from 'postal-mime';
import { DataSource, LessThan } from 'typeorm';
import { ReceivedMail } from './mail-sink.ts';
import { NotificationsSettings } from './settings.ts';

@Controller()
export class ListMailboxHandler {
  constructor(
    private readonly dataSource: DataSource,
    private readonly settings: NotificationsSettings,
  ) {}

  /** The cursor is the last item. Mail that arrives later sorts before it and does not shift the pages. */
  @Handles(ListMailbox)
  async handle({ to, limit, cursor }: Body<typeof ListMailbox>) {
    if (cursor && !/^[1-9]\d{0,17}$/.test(cursor)) throw ListMailbox.reject('unknown-cursor');
    // With a mail server, hide mail from an earlier start without one.
    if (this.settings.smtpUrl) return { items: [], nextCursor: null };
    const received = await this.dataSource.manager.find(ReceivedMail, {
      where: {
        ...(to && { to: to.toLowerCase() }),
        ...(cursor && { mailboxId: LessThan(cursor) }),
      },
      order: { mailboxId: 'DESC' },
      take: limit + 1,
    });
    const { items, nextCursor } = toPage(received, limit, ({ mailboxId }) => mailboxId);
    return { items: await Promise.all(items.map(parseMail)), nextCursor };
  }
}

async function parseMail({ mailId, messageId, to, content, receivedAt }: ReceivedMail) {
  const { from, subject = '', text = '', html = '' } = await PostalMime.parse(content);
  const sender = from?.name ? `${from.name} <${from.address}>` : (from?.address ?? '');
  return {
    mailId,
    messageId,
    from: sender,
    to,
    subject,
    text,
    html,
    receivedAt: receivedAt.toISOString(),
  };
}
