import { PlatformSettings, Readiness } from '@jogakbo/service';
import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { createTransport, type Transporter } from 'nodemailer';
import { MailSink } from './mail-sink.ts';
import type { Mail } from './mail.ts';
import { NotificationsSettings } from './settings.ts';

/** Concurrent connections to the mail server, each with one mail. */
export const maxConnections = 3;

/** Sends mail over SMTP, to the configured mail server or to the sink of this service. */
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
      // A value in the URL has precedence.
      requireTLS: !this.platform.localMode,
      maxConnections,
      // Shorter than the shutdown timeout of a service.
      connectionTimeout: 5_000,
      greetingTimeout: 5_000,
      socketTimeout: 7_000,
      // Never read content from a file or a URL.
      disableFileAccess: true,
      disableUrlAccess: true,
    });
  }

  /** Sends one mail. @throws Error if the server did not accept it */
  async send({ to, messageId, subject, text, html }: Mail): Promise<void> {
    await this.#transport.sendMail({
      from: this.settings.mailFrom,
      // As an object, so that the address is not parsed as a list.
      to: { name: '', address: to },
      messageId,
      subject,
      text,
      html,
    });
  }

  async onApplicationShutdown(): Promise<void> {
    this.#transport.close();
    await this.sink.close();
  }
}
