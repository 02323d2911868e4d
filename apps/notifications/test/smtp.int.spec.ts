import { randomUUIDv7 } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MemberRegistered } from '@jogakbo/contracts-identity';
import { ListMailbox, SendMail } from '@jogakbo/contracts-notifications';
import { Readiness } from '@jogakbo/service';
import { eventually, ServiceUnderTest } from '@jogakbo/testing';
import { SMTPServer } from 'smtp-server';
import { MailServer } from '../src/mail-server.ts';
import { MailSink } from '../src/mail-sink.ts';
import type { Mail } from '../src/mail.ts';
import { NotificationsModule } from '../src/notifications.module.ts';

describe('a mail server of the world', () => {
  let notifications: ServiceUnderTest;
  let server: SMTPServer;
  let refusals = 0;
  const asked: string[] = [];
  const taken: { to: string[]; content: string }[] = [];

  beforeAll(async () => {
    server = new SMTPServer({
      disabledCommands: ['STARTTLS'],
      disableReverseLookup: true,
      allowInsecureAuth: true,
      onAuth: ({ username, password }, _, callback) => callback(null, { user: `${username}/${password}` }),
      onRcptTo: ({ address }, _, callback) => {
        asked.push(address);
        if (refusals-- > 0) callback(Object.assign(new Error('later, please'), { responseCode: 450 }));
        else callback();
      },
      onData: (stream, { user, envelope }, callback) => {
        void buffer(stream).then((content) => {
          expect(user).toBe('jogakbo/p@ss');
          taken.push({ to: envelope.rcptTo.map(({ address }) => address), content: content.toString() });
          callback();
        });
      },
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.server.address() as AddressInfo;
    notifications = await ServiceUnderTest.start(NotificationsModule, {
      SMTP_URL: `smtp://jogakbo:p%40ss@127.0.0.1:${port}`,
      MAIL_FROM: '조각보 <shop@store.example>',
    });
  });
  afterAll(async () => {
    await notifications.stop();
    await new Promise<void>((resolve) => server.close(resolve));
  });

  async function register(email: string): Promise<string> {
    const eventId = randomUUIDv7();
    const member = { memberId: randomUUIDv7(), email, name: 'Ada', language: 'en' as const };
    await notifications.announce(MemberRegistered(member), eventId);
    return `<${eventId}@jogakbo.example>`;
  }
  const sent = (messageId: string) =>
    eventually(async () => {
      const [mail] = await notifications.query<{ mail_id: string }>(
        'SELECT mail_id FROM mail WHERE message_id = $1 AND sent_at IS NOT NULL',
        [messageId],
      );
      return mail?.mail_id;
    });
  const takenFor = (email: string) => taken.filter(({ to }) => to.includes(email));

  it('gets text and HTML in one message with the Message-ID of the event', async () => {
    const messageId = await register('one@example.com');
    await sent(messageId);
    const [mail] = takenFor('one@example.com');
    expect(mail!.content).toContain(`Message-ID: ${messageId}\r\n`);
    expect(mail!.content).toMatch(/^Content-Type: multipart\/alternative;/m);
    expect(mail!.content).toMatch(/^Content-Type: text\/plain; charset=utf-8/m);
    expect(mail!.content).toMatch(/^Content-Type: text\/html; charset=utf-8/m);
    expect(mail!.content).toMatch(/^From: =\?UTF-8\?.+\?= <shop@store\.example>/m);
  });

  it('gets a mail that it refused twice at last, once', async () => {
    refusals = 2;
    await sent(await register('later@example.com'));
    expect(asked.filter((address) => address === 'later@example.com')).toHaveLength(3);
    expect(takenFor('later@example.com')).toHaveLength(1);
  });

  it('does not get a mail again that it took', async () => {
    const mailId = await sent(await register('again@example.com'));
    const eventId = randomUUIDv7();
    await notifications.send(SendMail({ mailId }), eventId);
    await eventually(
      async () => (await notifications.query('SELECT 1 FROM inbox WHERE key = $1', [eventId])).length === 1,
    );
    expect(takenFor('again@example.com')).toHaveLength(1);
  });

  it('gets nothing without TLS outside local mode, unless its address allows that', async () => {
    const { port } = server.server.address() as AddressInfo;
    const mail = (query: string) => {
      const settings = {
        smtpUrl: `smtp://jogakbo:p%40ss@127.0.0.1:${port}${query}`,
        mailFrom: 'a@b.example',
      };
      const readiness = notifications.get(Readiness);
      return new MailServer(settings, notifications.get(MailSink), { localMode: false } as never, readiness);
    };
    const letter = {
      ...{ to: 'tls@example.com', recipient: 'Ada', messageId: `<${randomUUIDv7()}@x.example>` },
      ...{ subject: 's', text: 't', html: 'h' },
    } as Mail;
    const strict = mail('');
    await strict.onModuleInit();
    await expect(strict.send(letter)).rejects.toThrow(/STARTTLS/);
    expect(takenFor('tls@example.com')).toEqual([]);
    const lax = mail('?requireTLS=false');
    await lax.onModuleInit();
    await lax.send(letter);
    expect(takenFor('tls@example.com')).toHaveLength(1);
    for (const one of [strict, lax]) await one.onApplicationShutdown();
  });

  it('leaves the local mailbox empty', async () => {
    await expect(notifications.ask(ListMailbox, {})).resolves.toEqual({ items: [], nextCursor: null });
  });
});
