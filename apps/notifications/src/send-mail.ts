import type { Body } from '@jogakbo/contract';
import { SendMail } from '@jogakbo/contracts-notifications';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { MailServer } from './mail-server.ts';
import { Mail } from './mail.ts';

@Controller()
export class SendMailHandler {
  constructor(
    private readonly dataSource: DataSource,
    private readonly mailServer: MailServer,
  ) {}

  /**
   * No transaction is open while the mail server is spoken to. Whoever dies between its yes and the commit sends again,
   * under the same Message-ID: a mail may come twice, and is never lost.
   */
  @Handles(SendMail)
  async handle({ mailId }: Body<typeof SendMail>, { write }: UnitOfWork) {
    const mail = await this.dataSource.manager.findOneBy(Mail, { mailId });
    if (!mail) throw new Error(`there is no mail ${mailId}`);
    if (mail.sentAt) return;
    await this.mailServer.send(mail);
    write('UPDATE mail SET sent_at = now() WHERE mail_id = $1 AND sent_at IS NULL', [mailId]);
  }
}
