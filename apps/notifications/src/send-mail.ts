import { platformRejection, type Body } from '@jogakbo/contract';
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
  /** Each mail in progress holds a database connection: at most as many as there are connections to the mail server. */
  readonly #sending = bulkhead(maxConnections, Infinity);

  constructor(
    private readonly dataSource: DataSource,
    private readonly mailServer: MailServer,
  ) {}

  /** Also publishes the command for the next mail about the order: its own retries may have ended or be far apart. */
  @Handles(SendMail)
  async handle({ mailId }: Body<typeof SendMail>, { publishLater }: UnitOfWork) {
    const next = await this.#sending.execute(() => this.#sendOnce(mailId));
    if (next) publishLater(SendMail({ mailId: next }), 0);
  }

  /**
   * Holds a session-level advisory lock, which ends with the process: no two instances send the same mail, and if one is
   * killed, another can continue immediately. No transaction is open during the send.
   * @returns the next mail about the same order
   * @throws Rejection if there is no such mail
   * @throws OutOfOrder if another instance is sending it, or an earlier mail about the same order is not sent
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
    if (!mail) throw platformRejection('not-found', `mail ${mailId} does not exist`);
    const unsent = mail.about ? await findUnsent(session, mail.about) : [];
    if (!mail.sentAt) {
      if (unsent.some(({ position }) => BigInt(position) < BigInt(mail.position)))
        throw new OutOfOrder(`an earlier mail about order ${mail.about} is not sent yet`);
      await this.mailServer.send(mail);
      // Commits immediately, on an open connection. A mail is sent twice, with the same Message-ID, only if the
      // acknowledgement of the mail server is lost, or the process is killed between it and this line.
      await session.query('UPDATE mail SET sent_at = now() WHERE mail_id = $1', [mailId]);
    }
    return mail.about ? (await findUnsent(session, mail.about))[0]?.mail_id : undefined;
  }
}

/** The seed separates it from other advisory locks. */
const lockKey = 'hashtextextended($1, 2)';

/** In the order in which they were written. */
const findUnsent = (session: QueryRunner, about: string) =>
  session.query(
    'SELECT mail_id, position FROM mail WHERE about = $1 AND sent_at IS NULL ORDER BY position LIMIT 2',
    [about],
  ) as Promise<{ mail_id: string; position: string }[]>;
