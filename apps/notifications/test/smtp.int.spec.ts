import { randomUUIDv7 } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MemberRegistered } from '@jogakbo/contracts-identity';
import { ListMailbox, SendMail } from '@jogakbo/contracts-notifications';
import { OrderCancelled, OrderConfirmed, OrderRefunded } from '@jogakbo/contracts-orders';
import { Readiness } from '@jogakbo/service';
import { eventually, ServiceUnderTest } from '@jogakbo/testing';
import { SMTPServer } from 'smtp-server';
import { MailServer } from '../src/mail-server.ts';
import { MailSink } from '../src/mail-sink.ts';
import type { Mail } from '../src/mail.ts';
import { NotificationsModule } from '../src/notifications.module.ts';

describe('with an external mail server', () => {
  let notifications: ServiceUnderTest;
  let server: SMTPServer;
  let rejections = 0;
  let slow: Promise<void> | undefined;
  const attempts: string[] = [];
  const accepted: { to: string[]; content: string }[] = [];

  beforeAll(async () => {
    server = new SMTPServer({
      disabledCommands: ['STARTTLS'],
      disableReverseLookup: true,
      allowInsecureAuth: true,
      onAuth: ({ username, password }, _, callback) => callback(null, { user: `${username}/${password}` }),
      onRcptTo: ({ address }, _, callback) => {
        attempts.push(address);
        if (rejections-- > 0) callback(Object.assign(new Error('later, please'), { responseCode: 450 }));
        else callback();
      },
      onData: (stream, { user, envelope }, callback) => {
        void buffer(stream).then(async (content) => {
          await slow;
          expect(user).toBe('jogakbo/p@ss');
          accepted.push({ to: envelope.rcptTo.map(({ address }) => address), content: content.toString() });
          callback();
        });
      },
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.server.address() as AddressInfo;
    notifications = await ServiceUnderTest.start(NotificationsModule, {
      SMTP_URL: `smtp://jogakbo:p%40ss@127.0.0.1:${port}`,
      MAIL_FROM: '조각보 <shop@store.example>',
      RETRY_DELAYS: '50,100,200,400,800,1600',
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
  const waitUntilSent = (messageId: string) =>
    eventually(async () => {
      const [mail] = await notifications.query<{ mail_id: string }>(
        'SELECT mail_id FROM mail WHERE message_id = $1 AND sent_at IS NOT NULL',
        [messageId],
      );
      return mail?.mail_id;
    });
  /** Counts the failed attempts of an instance to send a mail. */
  const countFailures = async (url: string) => {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    const isFailure = (line: string) =>
      ['messages_handled_seconds_count', `message="${SendMail.name}"`, 'outcome="fault"'].every((part) =>
        line.includes(part),
      );
    return Number(metrics.split('\n').find(isFailure)?.split(' ').at(-1) ?? 0);
  };
  const findAccepted = (email: string) => accepted.filter(({ to }) => to.includes(email));

  it('receives text and HTML in one message with the Message-ID of the event', async () => {
    const messageId = await register('one@example.com');
    await waitUntilSent(messageId);
    const [mail] = findAccepted('one@example.com');
    expect(mail!.content).toContain(`Message-ID: ${messageId}\r\n`);
    expect(mail!.content).toMatch(/^Content-Type: multipart\/alternative;/m);
    expect(mail!.content).toMatch(/^Content-Type: text\/plain; charset=utf-8/m);
    expect(mail!.content).toMatch(/^Content-Type: text\/html; charset=utf-8/m);
    expect(mail!.content).toMatch(/^From: =\?UTF-8\?.+\?= <shop@store\.example>/m);
  });

  it('receives a mail once after two rejections', async () => {
    rejections = 2;
    await waitUntilSent(await register('later@example.com'));
    expect(attempts.filter((address) => address === 'later@example.com')).toHaveLength(3);
    expect(findAccepted('later@example.com')).toHaveLength(1);
  });

  it('does not receive an accepted mail again', async () => {
    const mailId = await waitUntilSent(await register('again@example.com'));
    const eventId = randomUUIDv7();
    await notifications.send(SendMail({ mailId }), eventId);
    await eventually(
      async () => (await notifications.query('SELECT 1 FROM inbox WHERE key = $1', [eventId])).length === 1,
    );
    expect(findAccepted('again@example.com')).toHaveLength(1);
  });

  it('receives mails about one order in order, even if it rejects the first one temporarily', async () => {
    const email = 'order@example.com';
    const memberId = randomUUIDv7();
    const member = { memberId, email, name: 'Ada', language: 'en' as const };
    const welcome = randomUUIDv7();
    await notifications.announce(MemberRegistered(member), welcome);
    await waitUntilSent(`<${welcome}@jogakbo.example>`);
    const total = { amount: 1, currency: 'KRW' };
    const order = { orderId: randomUUIDv7(), memberId, language: 'en' as const, lines: [], total };
    rejections = 2;
    await notifications.announce(OrderConfirmed({ ...order, status: 'confirmed' }));
    await eventually(() => rejections < 2);
    await notifications.announce(OrderCancelled({ ...order, wasConfirmed: true }));
    await notifications.announce(OrderRefunded(order));
    const mails = await eventually(() => findAccepted(email).length >= 4 && findAccepted(email));
    expect(mails.map(({ content }) => /^Subject: (.*)\r$/m.exec(content)![1])).toEqual([
      ...['Welcome to Jogakbo', 'Your order is confirmed', 'Your order is cancelled', 'Your refund is done'],
    ]);
  });

  it('receives a mail once if the service fails after the acknowledgement', async () => {
    // Three times, the commit after the send fails, as if the process had crashed there.
    await notifications.query(`
      CREATE SEQUENCE attempts;
      CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF EXISTS (SELECT FROM mail WHERE "to" = 'crash@example.com') AND nextval('attempts') <= 3 THEN
          RAISE 'the process ends here';
        END IF;
        RETURN NEW;
      END $$;
      CREATE TRIGGER fail_once BEFORE INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION fail_once()`);
    await waitUntilSent(await register('crash@example.com'));
    await eventually(
      async () =>
        (await notifications.query<{ n: string }>('SELECT last_value AS n FROM attempts'))[0]!.n > '3',
    );
    await notifications.query('DROP FUNCTION fail_once CASCADE; DROP SEQUENCE attempts');
    expect(findAccepted('crash@example.com')).toHaveLength(1);
  });

  it('receives a mail once if two instances handle its command', async () => {
    const other = await notifications.startAnother();
    const before = await countFailures(notifications.url);
    let resume = () => {};
    slow = new Promise((resolve) => (resume = resolve));
    await register('two@example.com');
    const mailId = await eventually(async () => {
      const [mail] = await notifications.query<{ mail_id: string }>(
        `SELECT mail_id FROM mail WHERE "to" = 'two@example.com'`,
      );
      return mail?.mail_id;
    });
    const ids = Array.from({ length: 6 }, () => randomUUIDv7());
    for (const id of ids) await notifications.send(SendMail({ mailId }), id);
    await eventually(() => attempts.includes('two@example.com'));
    // Either one instance did not get the lock, or both have started to send the mail.
    await eventually(
      async () =>
        (await countFailures(notifications.url)) + (await countFailures(other.url)) > before ||
        attempts.filter((to) => to === 'two@example.com').length > 1,
    );
    resume();
    await eventually(
      async () =>
        (await notifications.query('SELECT FROM inbox WHERE key = ANY($1)', [ids])).length === ids.length,
    );
    await other.stop();
    expect(findAccepted('two@example.com')).toHaveLength(1);
  });

  it('receives nothing without TLS outside local mode, unless its URL allows it', async () => {
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
      to: 'tls@example.com',
      messageId: `<${randomUUIDv7()}@x.example>`,
      subject: 's',
      text: 't',
      html: 'h',
    } as Mail;
    const strict = mail('');
    await strict.onModuleInit();
    await expect(strict.send(letter)).rejects.toThrow(/STARTTLS/);
    expect(findAccepted('tls@example.com')).toEqual([]);
    const lax = mail('?requireTLS=false');
    await lax.onModuleInit();
    await lax.send(letter);
    expect(findAccepted('tls@example.com')).toHaveLength(1);
    for (const one of [strict, lax]) await one.onApplicationShutdown();
  });

  it('does not use the local mailbox', async () => {
    await expect(notifications.ask(ListMailbox, {})).resolves.toEqual({ items: [], nextCursor: null });
  });
});
