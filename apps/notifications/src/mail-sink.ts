import { randomUUIDv7 } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { Injectable } from '@nestjs/common';
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server';
import { Column, CreateDateColumn, DataSource, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** One delivery of one mail to one recipient. A mail that was delivered twice has two rows. */
@Entity('mailbox')
export class ReceivedMail {
  /** Rises with the order of arrival. */
  @PrimaryGeneratedColumn('identity', { type: 'bigint', name: 'mailbox_id', generatedIdentity: 'ALWAYS' })
  mailboxId: string;

  @Column('uuid', { name: 'mail_id' })
  mailId: string;

  @Column('text', { name: 'message_id' })
  messageId: string;

  @Column('text')
  to: string;

  /** The message as received over SMTP. */
  @Column('bytea')
  content: Buffer;

  @CreateDateColumn({ type: 'timestamptz', name: 'received_at' })
  receivedAt: Date;
}

/** Replaces a mail server in local mode: an SMTP server that stores mail in the database. */
@Injectable()
export class MailSink {
  #server: SMTPServer | undefined;
  readonly #connection: DataSource;

  /** A handler keeps a connection of the service while it sends a mail, so the sink has one of its own. */
  constructor({ options }: DataSource) {
    this.#connection = new DataSource({
      ...options,
      entities: [],
      migrations: [],
      poolSize: 1,
    } as typeof options);
  }

  /** Listens on a free port of this machine only. Returns the URL. */
  async open(): Promise<string> {
    await this.#connection.initialize();
    const server = new SMTPServer({
      name: 'mailbox.jogakbo.example',
      authOptional: true,
      disabledCommands: ['AUTH', 'STARTTLS'],
      disableReverseLookup: true,
      size: 1_048_576,
      rejectOversized: true,
      closeTimeout: 1_000,
      onData: (stream, session, callback) => {
        this.#receive(stream, session).then(
          () => callback(),
          (error: Error) => callback(Object.assign(error, { responseCode: 451 })),
        );
      },
    });
    // Ignores clients that disconnect during a transfer.
    server.on('error', () => {});
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    return `smtp://127.0.0.1:${(server.server.address() as AddressInfo).port}`;
  }

  /** Acknowledges a mail only after storing it. */
  async #receive(stream: SMTPServerDataStream, { envelope }: SMTPServerSession): Promise<void> {
    const content = await buffer(stream);
    if (stream.sizeExceeded) return;
    const headers = content.subarray(0, content.indexOf('\r\n\r\n')).toString('latin1');
    const [, messageId = ''] = /^message-id:\s*(<[^>]*>)/im.exec(headers) ?? [];
    const recipients = envelope.rcptTo.map(({ address }) => address.toLowerCase());
    await this.#connection.query(
      `INSERT INTO mailbox (mail_id, message_id, "to", content)
       SELECT mail_id, $1, receiver, $2 FROM unnest($3::uuid[], $4::text[]) AS arrived (mail_id, receiver)`,
      [messageId, content, recipients.map(() => randomUUIDv7()), recipients],
    );
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (server) await new Promise<void>((resolve) => server.close(resolve));
    if (this.#connection.isInitialized) await this.#connection.destroy();
  }
}
