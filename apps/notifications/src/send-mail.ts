import type { Body } from '@jogakbo/contract';
import { SendMail } from '@jogakbo/contracts-notifications';
import { OutOfOrder, type UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { bulkhead } from 'cockatiel';
import { DataSource, type QueryRunner } from 'typeorm';
import { MailServer, maxConnections } from './mail-server.ts';
import { Mail } from './mail.ts';

@Controller()
export class SendMailHandler {
  /** Each mail that is being sent holds a database connection: no more of them than the mail server is sent at a time. */
  readonly #sending = bulkhead(maxConnections, Infinity);

  constructor(
    private readonly dataSource: DataSource,
    private readonly mailServer: MailServer,
  ) {}

  /** The mail that waits behind this one is asked for again: its own attempts may be over by now, or far apart. */
  @Handles(SendMail)
  async handle({ mailId }: Body<typeof SendMail>, { publishLater }: UnitOfWork) {
    const next = await this.#sending.execute(() => this.#sendOnce(mailId));
    if (next) publishLater(SendMail({ mailId: next }), 0);
  }

  /**
   * Under a lock of the database session, which ends with the process that holds it: no two instances send the same mail,
   * and where one is killed another goes on at once. No transaction is open meanwhile.
   * @returns the next mail about the same order
   * @throws TooEarly where another instance is sending it, or an earlier mail about the same order is not sent
   */
  async #sendOnce(mailId: string): Promise<string | undefined> {
    const session = this.dataSource.createQueryRunner();
    try {
      const [{ locked }] = (await session.query(`SELECT pg_try_advisory_lock(${lockKey}) AS locked`, [
        mailId,
      ])) as [{ locked: boolean }];
      if (!locked) throw new OutOfOrder(`mail ${mailId} is being sent by another instance`);
      try {
        return await this.#send(session, mailId);
      } finally {
        await session.query(`SELECT pg_advisory_unlock(${lockKey})`, [mailId]);
      }
    } finally {
      await session.release();
    }
  }

  async #send(session: QueryRunner, mailId: string): Promise<string | undefined> {
    const mail = await session.manager.findOneBy(Mail, { mailId });
    if (!mail) throw new Error(`there is no mail ${mailId}`);
    const unsent = mail.about ? await findUnsent(session, mail.about) : [];
    if (!mail.sentAt) {
      if (unsent.some(({ position }) => BigInt(position) < BigInt(mail.position)))
        throw new OutOfOrder(`an earlier mail about order ${mail.about} is not sent yet`);
      await this.mailServer.send(mail);
      // Committed by itself, on a connection that is open. A mail is sent twice, under the same Message-ID, only where the
      // acknowledgement of the mail server is lost, or the process is killed between it and this line.
      await session.query('UPDATE mail SET sent_at = now() WHERE mail_id = $1', [mailId]);
    }
    return mail.about ? (await findUnsent(session, mail.about))[0]?.mail_id : undefined;
  }
}

/** Apart from the other advisory locks by its seed. */
const lockKey = 'hashtextextended($1, 2)';

/** In the order in which they were written. */
const findUnsent = (session: QueryRunner, about: string) =>
  session.query(
    'SELECT mail_id, position FROM mail WHERE about = $1 AND sent_at IS NULL ORDER BY position LIMIT 2',
    [about],
  ) as Promise<{ mail_id: string; position: string }[]>;
