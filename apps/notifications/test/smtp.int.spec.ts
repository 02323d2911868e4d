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

describe('a mail server of the world', () => {
  let notifications: ServiceUnderTest;
  let server: SMTPServer;
  let refusals = 0;
  let slow: Promise<void> | undefined;
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
        void buffer(stream).then(async (content) => {
          await slow;
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
      RETRY_LADDER: '50,100,200,400,800,1600',
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
  /** How many attempts to send a mail have failed in an instance. */
  const failed = async (url: string) => {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    const isFailure = (line: string) =>
      ['messages_handled_seconds_count', `message="${SendMail.name}"`, 'outcome="fault"'].every((part) =>
        line.includes(part),
      );
    return Number(metrics.split('\n').find(isFailure)?.split(' ').at(-1) ?? 0);
  };
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

  it('gets mails about one order in their order, also where it refuses the first one for a time', async () => {
    const email = 'order@example.com';
    const memberId = randomUUIDv7();
    const member = { memberId, email, name: 'Ada', language: 'en' as const };
    const welcome = randomUUIDv7();
    await notifications.announce(MemberRegistered(member), welcome);
    await sent(`<${welcome}@jogakbo.example>`);
    const total = { amount: 1, currency: 'KRW' };
    const order = { orderId: randomUUIDv7(), memberId, language: 'en' as const, lines: [], total };
    refusals = 2;
    await notifications.announce(OrderConfirmed({ ...order, status: 'confirmed' }));
    await eventually(() => refusals < 2);
    await notifications.announce(OrderCancelled({ ...order, wasConfirmed: true }));
    await notifications.announce(OrderRefunded(order));
    const mails = await eventually(() => takenFor(email).length >= 4 && takenFor(email));
    expect(mails.map(({ content }) => /^Subject: (.*)\r$/m.exec(content)![1])).toEqual([
      ...['Welcome to Jogakbo', 'Your order is confirmed', 'Your order is cancelled', 'Your refund is done'],
    ]);
  });

  it('gets a mail once though the service fails after the acknowledgement', async () => {
    // Three times, nothing of what follows the mail is kept: as where the process ends there.
    await notifications.query(`
      CREATE SEQUENCE attempts;
      CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF EXISTS (SELECT FROM mail WHERE "to" = 'crash@example.com') AND nextval('attempts') <= 3 THEN
          RAISE 'the process ends here';
        END IF;
        RETURN NEW;
      END $$;
      CREATE TRIGGER fail_once BEFORE INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION fail_once()`);
    await sent(await register('crash@example.com'));
    await eventually(
      async () =>
        (await notifications.query<{ n: string }>('SELECT last_value AS n FROM attempts'))[0]!.n > '3',
    );
    await notifications.query('DROP FUNCTION fail_once CASCADE; DROP SEQUENCE attempts');
    expect(takenFor('crash@example.com')).toHaveLength(1);
  });

  it('gets a mail once though two instances are asked for it', async () => {
    const other = await notifications.startAnother();
    const before = await failed(notifications.url);
    let goOn = () => {};
    slow = new Promise((resolve) => (goOn = resolve));
    await register('two@example.com');
    const mailId = await eventually(async () => {
      const [mail] = await notifications.query<{ mail_id: string }>(
        `SELECT mail_id FROM mail WHERE "to" = 'two@example.com'`,
      );
      return mail?.mail_id;
    });
    const ids = Array.from({ length: 6 }, () => randomUUIDv7());
    for (const id of ids) await notifications.send(SendMail({ mailId }), id);
    await eventually(() => asked.includes('two@example.com'));
    // One instance was refused the lock, or both have begun to send the mail.
    await eventually(
      async () =>
        (await failed(notifications.url)) + (await failed(other.url)) > before ||
        asked.filter((to) => to === 'two@example.com').length > 1,
    );
    goOn();
    await eventually(
      async () =>
        (await notifications.query('SELECT FROM inbox WHERE key = ANY($1)', [ids])).length === ids.length,
    );
    await other.stop();
    expect(takenFor('two@example.com')).toHaveLength(1);
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
      ...{ to: 'tls@example.com', messageId: `<${randomUUIDv7()}@x.example>` },
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
