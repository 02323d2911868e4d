import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MemberRegistered, SignUpRepeated } from '@jogakbo/contracts-identity';
import { ListMailbox, SendMail } from '@jogakbo/contracts-notifications';
import { OrderCancelled, OrderConfirmed, OrderRefunded, OrderRejected } from '@jogakbo/contracts-orders';
import { eventually, ServiceUnderTest } from '@jogakbo/testing';
import PostalMime from 'postal-mime';
import { NotificationsModule } from '../src/notifications.module.ts';

describe('notifications', () => {
  let notifications: ServiceUnderTest;
  let count = 0;

  beforeAll(async () => {
    notifications = await ServiceUnderTest.start(NotificationsModule, {
      RETRY_DELAYS: '100,200,400,800,1600',
    });
  });
  afterAll(() => notifications.stop());

  const newMember = (fields: { name?: string; language?: 'ko' | 'en' } = {}) => ({
    memberId: randomUUIDv7(),
    email: `reader-${++count}@example.com`,
    name: '김하나',
    language: 'ko' as const,
    ...fields,
  });
  const newOrder = (memberId: string, language: 'ko' | 'en') => ({
    orderId: randomUUIDv7(),
    memberId,
    language,
    lines: [
      { productId: randomUUIDv7(), name: '조각보', quantity: 2, price: { amount: 42_000, currency: 'KRW' } },
    ],
    total: { amount: 84_000, currency: 'KRW' },
  });
  const createConfirmed = (order: ReturnType<typeof newOrder>) =>
    OrderConfirmed({ ...order, status: 'confirmed' });
  async function register(fields: Parameters<typeof newMember>[0] = {}) {
    const member = newMember(fields);
    await notifications.announce(MemberRegistered(member));
    await waitForMails(member.email, 1);
    return member;
  }
  const mailbox = async (to: string) => (await notifications.ask(ListMailbox, { to })).items;
  const waitForMails = (to: string, wanted: number) =>
    eventually(async () => {
      const items = await mailbox(to);
      return items.length >= wanted && items;
    });
  /** Waits until no mail is unsent and no message is in the outbox. */
  const waitUntilIdle = () =>
    eventually(async () => {
      const open = await notifications.query(
        `SELECT 1 FROM mail WHERE sent_at IS NULL UNION ALL SELECT 1 FROM outbox WHERE published_at IS NULL`,
      );
      return open.length === 0;
    });

  it('sends a welcome mail to a new member', async () => {
    const { email } = await register({ name: 'Ada', language: 'en' });
    await expect(mailbox(email)).resolves.toEqual([
      expect.objectContaining({
        to: email,
        from: 'Jogakbo <no-reply@jogakbo.example>',
        subject: 'Welcome to Jogakbo',
        text: expect.stringContaining('Thank you for joining.'),
      }),
    ]);
  });

  it('sends no text from a sign-up to its address', async () => {
    const spam = '당첨! https://evil.example';
    const { memberId, email } = await register({ name: spam });
    await notifications.announce(SignUpRepeated({ memberId, language: 'en' }));
    await notifications.announce(createConfirmed(newOrder(memberId, 'ko')));
    await waitForMails(email, 3);
    const raw = await notifications.query<{ content: Buffer }>(
      'SELECT content FROM mailbox WHERE "to" = $1',
      [email],
    );
    const parsed = await Promise.all(raw.map(({ content }) => PostalMime.parse(content)));
    expect(parsed.map(({ to }) => to)).toEqual(Array(3).fill([{ name: '', address: email }]));
    expect(JSON.stringify(parsed)).not.toMatch(/evil|당첨/);
  });

  it('stores the member but sends no mail if the event has mayMail: false', async () => {
    const member = newMember();
    await notifications.announce(MemberRegistered({ ...member, mayMail: false }));
    await notifications.announce(
      SignUpRepeated({ memberId: member.memberId, language: 'ko', mayMail: false }),
    );
    await notifications.announce(createConfirmed(newOrder(member.memberId, 'ko')));
    const [only] = await waitForMails(member.email, 1);
    await waitUntilIdle();
    expect(only!.subject).toBe('주문이 확정되었습니다');
    await expect(mailbox(member.email)).resolves.toHaveLength(1);
  });

  it.each([
    ['ko', '주문이 확정되었습니다', '합계: ₩84,000'],
    ['en', 'Your order is confirmed', 'Total: ₩84,000'],
  ] as const)('writes one mail in the language of the order: %s', async (language, subject, total) => {
    const { memberId, email } = await register({ language: language === 'ko' ? 'en' : 'ko' });
    const order = newOrder(memberId, language);
    const eventId = randomUUIDv7();
    await notifications.announce(createConfirmed(order), eventId);
    await notifications.announce(createConfirmed(order), eventId);
    const [mail] = await waitForMails(email, 2);
    expect(mail).toMatchObject({
      messageId: `<${eventId}@jogakbo.example>`,
      subject,
      to: email,
      text: expect.stringContaining(total),
      html: expect.stringContaining(`<html lang="${language}">`),
    });
    expect(mail!.text).toContain(order.orderId);

    await notifications.announce(createConfirmed(order), eventId);
    await waitUntilIdle();
    await expect(mailbox(email)).resolves.toHaveLength(2);
    const rows = await notifications.query(
      'SELECT kind, about, sent_at IS NOT NULL AS sent FROM mail WHERE message_id = $1',
      [`<${eventId}@jogakbo.example>`],
    );
    expect(rows).toEqual([{ kind: 'order-confirmed', about: order.orderId, sent: true }]);
  });

  it('does not write a mail twice, even if the inbox entry is gone', async () => {
    const { memberId, email } = await register();
    const eventId = randomUUIDv7();
    const order = newOrder(memberId, 'ko');
    await notifications.announce(createConfirmed(order), eventId);
    await waitForMails(email, 2);
    await waitUntilIdle();
    await notifications.query('DELETE FROM inbox');
    await notifications.announce(createConfirmed(order), eventId);
    await eventually(
      async () => (await notifications.query('SELECT 1 FROM inbox WHERE key = $1', [eventId])).length === 1,
    );
    await waitUntilIdle();
    await expect(mailbox(email)).resolves.toHaveLength(2);
    // No command refers to a mail that does not exist.
    const stray = await notifications.query(
      `SELECT data->>'mailId' FROM outbox WHERE name = $1 EXCEPT SELECT mail_id::text FROM mail`,
      [SendMail.name],
    );
    expect(stray).toEqual([]);
  });

  it('sends a mail for every outcome of an order', async () => {
    const { memberId, email } = await register();
    const order = newOrder(memberId, 'en');
    await notifications.announce(OrderRejected({ ...order, status: 'rejected', rejection: 'out-of-stock' }));
    await notifications.announce(OrderCancelled(order));
    await notifications.announce(OrderRefunded(order));
    const subjects = (await waitForMails(email, 4)).map(({ subject }) => subject);
    expect(new Set(subjects.slice(0, 3))).toEqual(
      new Set(['Your order could not be completed', 'Your order is cancelled', 'Your refund is done']),
    );
  });

  it('sends the mails about an order in order, whatever the order of its events, with several instances', async () => {
    const other = await notifications.startAnother();
    const { memberId, email } = await register();
    const subjectsByEvent = {
      confirmed: 'Your order is confirmed',
      cancelled: 'Your order is cancelled',
      refunded: 'Your refund is done',
    };
    const orders = Array.from({ length: 6 }, () => newOrder(memberId, 'en'));
    await Promise.all(
      orders.map(async (order) => {
        await notifications.announce(OrderRefunded(order));
        await notifications.announce(OrderCancelled({ ...order, wasConfirmed: true }));
        await notifications.announce(createConfirmed(order));
      }),
    );
    const mails = await waitForMails(email, 1 + 3 * orders.length);
    await other.stop();
    for (const { orderId } of orders) {
      const subjects = mails.filter(({ text }) => text.includes(orderId)).map(({ subject }) => subject);
      expect(subjects).toEqual([
        subjectsByEvent.refunded,
        subjectsByEvent.cancelled,
        subjectsByEvent.confirmed,
      ]);
    }
  });

  it('does not wait for a confirmation of an unconfirmed order', async () => {
    const { memberId, email } = await register();
    await notifications.announce(OrderCancelled({ ...newOrder(memberId, 'en'), wasConfirmed: false }));
    const [mail] = await waitForMails(email, 2);
    expect(mail).toMatchObject({ subject: 'Your order is cancelled' });
  });

  it('informs a member about a repeated sign-up with the address', async () => {
    const { memberId, email } = await register();
    await notifications.announce(SignUpRepeated({ memberId, language: 'en' }));
    const [mail] = await waitForMails(email, 2);
    expect(mail).toMatchObject({ subject: 'You are already a member' });
  });

  it('retries an order event until the member is known', async () => {
    const member = newMember();
    await notifications.announce(createConfirmed(newOrder(member.memberId, 'ko')));
    await new Promise((resolve) => setTimeout(resolve, 250));
    await expect(mailbox(member.email)).resolves.toEqual([]);
    await notifications.announce(MemberRegistered(member));
    const subjects = (await waitForMails(member.email, 2)).map(({ subject }) => subject);
    expect(subjects).toEqual(['주문이 확정되었습니다', '조각보에 오신 것을 환영합니다']);
  });

  it('pages through the mailbox, newest first, with each mail once', async () => {
    const { memberId, email } = await register();
    for (let i = 0; i < 6; i++) await notifications.announce(SignUpRepeated({ memberId, language: 'ko' }));
    const all = await waitForMails(email, 7);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await notifications.ask(ListMailbox, { to: email.toUpperCase(), limit: 3, cursor });
      seen.push(...page.items.map(({ mailId }) => mailId));
      cursor = page.nextCursor ?? undefined;
      // New mail between two pages does not shift them.
      if (seen.length === 3) await register();
    } while (cursor);
    expect(seen).toEqual(all.map(({ mailId }) => mailId));
    expect(new Set(seen).size).toBe(7);
    // The last six were sent concurrently: only the first mail has a certain position.
    const times = all.map(({ receivedAt }) => receivedAt);
    expect(times.at(-1)).toBe([...times].sort()[0]);
    expect(all.at(-1)!.subject).toBe('조각보에 오신 것을 환영합니다');
  });

  it.each(['0', '-1', 'x', '9'.repeat(19), randomUUID()])('rejects the cursor %s', async (cursor) => {
    await expect(notifications.ask(ListMailbox, { cursor })).rejects.toMatchObject({
      code: 'unknown-cursor',
      status: 400,
    });
  });

  it('continues after a restart', async () => {
    const { memberId, email } = await register();
    await notifications.restart();
    await notifications.announce(SignUpRepeated({ memberId, language: 'ko' }));
    await waitForMails(email, 2);
  });
});

it('sends many mails at once with few connections to the database', async () => {
  const notifications = await ServiceUnderTest.start(NotificationsModule, { DATABASE_POOL: '3' });
  const members = Array.from({ length: 30 }, (_, at) => ({
    memberId: randomUUIDv7(),
    email: `crowd-${at}@example.com`,
    name: '김하나',
    language: 'ko' as const,
  }));
  await Promise.all(members.map((member) => notifications.announce(MemberRegistered(member))));
  // Before the sink had a connection of its own, three handlers waited for each other until a timeout, again and again.
  const listReceived = () => notifications.query('SELECT FROM mailbox');
  await eventually(async () => (await listReceived()).length === members.length, 20_000);
  await notifications.stop();
}, 60_000);
