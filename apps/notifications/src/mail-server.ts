import { PlatformSettings, Readiness } from '@jogakbo/service';
import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { createTransport, type Transporter } from 'nodemailer';
import { MailSink } from './mail-sink.ts';
import type { Mail } from './mail.ts';
import { NotificationsSettings } from './settings.ts';

/** Mails that are handed over at a time. */
export const maxConnections = 3;

/** The mail server that was configured, or the sink of this service: spoken to in the same way, over SMTP. */
@Injectable()
export class MailServer implements OnModuleInit, OnApplicationShutdown {
  #transport: Transporter;

  constructor(
    private readonly settings: NotificationsSettings,
    private readonly sink: MailSink,
    private readonly platform: PlatformSettings,
    private readonly readiness: Readiness,
  ) {}

  async onModuleInit(): Promise<void> {
    if (!this.settings.smtpUrl) this.readiness.simulate('mail-server');
    this.#transport = createTransport({
      url: this.settings.smtpUrl ?? (await this.sink.open()),
      pool: true,
      // What the URL itself says goes first.
      requireTLS: !this.platform.localMode,
      maxConnections,
      // Below the patience of a service that drains.
      ...{ connectionTimeout: 5_000, greetingTimeout: 5_000, socketTimeout: 7_000 },
      // What members wrote is content, never a path or an address to read from.
      ...{ disableFileAccess: true, disableUrlAccess: true },
    });
  }

  /** Hands over one mail. @throws Error where the server did not take responsibility for it */
  async send({ to, messageId, subject, text, html }: Mail): Promise<void> {
    await this.#transport.sendMail({
      from: this.settings.mailFrom,
      // As an object, so that nothing in it is read as a list of addresses.
      to: { name: '', address: to },
      ...{ messageId, subject, text, html },
    });
  }

  async onApplicationShutdown(): Promise<void> {
    this.#transport.close();
    await this.sink.close();
  }
}
