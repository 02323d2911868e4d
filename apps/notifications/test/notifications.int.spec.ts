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
      RETRY_LADDER: '100,200,400,800,1600',
    });
  });
  afterAll(() => notifications.stop());

  const newMember = (fields: { name?: string; language?: 'ko' | 'en' } = {}) => ({
    ...{ memberId: randomUUIDv7(), email: `reader-${++count}@example.com` },
    ...{ name: '김하나', language: 'ko' as const, ...fields },
  });
  const newOrder = (memberId: string, language: 'ko' | 'en') => ({
    ...{ orderId: randomUUIDv7(), memberId, language },
    lines: [
      { productId: randomUUIDv7(), name: '조각보', quantity: 2, price: { amount: 42_000, currency: 'KRW' } },
    ],
    total: { amount: 84_000, currency: 'KRW' },
  });
  const confirmed = (order: ReturnType<typeof newOrder>) => OrderConfirmed({ ...order, status: 'confirmed' });
  async function register(fields: Parameters<typeof newMember>[0] = {}) {
    const member = newMember(fields);
    await notifications.announce(MemberRegistered(member));
    await arrived(member.email, 1);
    return member;
  }
  const mailbox = async (to: string) => (await notifications.ask(ListMailbox, { to })).items;
  const arrived = (to: string, wanted: number) =>
    eventually(async () => {
      const items = await mailbox(to);
      return items.length >= wanted && items;
    });
  /** Nothing more comes: no mail is unsent, no message waits in the outbox. */
  const quiet = () =>
    eventually(async () => {
      const open = await notifications.query(
        `SELECT 1 FROM mail WHERE sent_at IS NULL UNION ALL SELECT 1 FROM outbox WHERE published_at IS NULL`,
      );
      return open.length === 0;
    });

  it('welcomes a new member', async () => {
    const { email } = await register({ name: 'Ada', language: 'en' });
    await expect(mailbox(email)).resolves.toEqual([
      expect.objectContaining({
        ...{ to: email, from: 'Jogakbo <no-reply@jogakbo.example>', subject: 'Welcome to Jogakbo' },
        text: expect.stringContaining('Thank you for joining.'),
      }),
    ]);
  });

  it('mails no text that a sign-up contained to its address', async () => {
    const spam = '당첨! https://evil.example';
    const { memberId, email } = await register({ name: spam });
    await notifications.announce(SignUpRepeated({ memberId, language: 'en' }));
    await notifications.announce(confirmed(newOrder(memberId, 'ko')));
    await arrived(email, 3);
    const raw = await notifications.query<{ content: Buffer }>(
      'SELECT content FROM mailbox WHERE "to" = $1',
      [email],
    );
    const parsed = await Promise.all(raw.map(({ content }) => PostalMime.parse(content)));
    expect(parsed.map(({ to }) => to)).toEqual(Array(3).fill([{ name: '', address: email }]));
    expect(JSON.stringify(parsed)).not.toMatch(/evil|당첨/);
  });

  it('mails nothing where sign-ups have caused too many mails, and knows the member all the same', async () => {
    const member = newMember();
    await notifications.announce(MemberRegistered({ ...member, mayMail: false }));
    await notifications.announce(
      SignUpRepeated({ memberId: member.memberId, language: 'ko', mayMail: false }),
    );
    await notifications.announce(confirmed(newOrder(member.memberId, 'ko')));
    const [only] = await arrived(member.email, 1);
    await quiet();
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
    await notifications.announce(confirmed(order), eventId);
    await notifications.announce(confirmed(order), eventId);
    const [mail] = await arrived(email, 2);
    expect(mail).toMatchObject({
      ...{ messageId: `<${eventId}@jogakbo.example>`, subject, to: email },
      text: expect.stringContaining(total),
      html: expect.stringContaining(`<html lang="${language}">`),
    });
    expect(mail!.text).toContain(order.orderId);

    await notifications.announce(confirmed(order), eventId);
    await quiet();
    await expect(mailbox(email)).resolves.toHaveLength(2);
    const rows = await notifications.query(
      'SELECT kind, about, sent_at IS NOT NULL AS sent FROM mail WHERE message_id = $1',
      [`<${eventId}@jogakbo.example>`],
    );
    expect(rows).toEqual([{ kind: 'order-confirmed', about: order.orderId, sent: true }]);
  });

  it('does not write again what it wrote, even where the inbox has forgotten', async () => {
    const { memberId, email } = await register();
    const eventId = randomUUIDv7();
    const order = newOrder(memberId, 'ko');
    await notifications.announce(confirmed(order), eventId);
    await arrived(email, 2);
    await quiet();
    await notifications.query('DELETE FROM inbox');
    await notifications.announce(confirmed(order), eventId);
    await eventually(
      async () => (await notifications.query('SELECT 1 FROM inbox WHERE key = $1', [eventId])).length === 1,
    );
    await quiet();
    await expect(mailbox(email)).resolves.toHaveLength(2);
    // Nor is anything asked to be sent that was never written.
    const stray = await notifications.query(
      `SELECT data->>'mailId' FROM outbox WHERE name = $1 EXCEPT SELECT mail_id::text FROM mail`,
      [SendMail.name],
    );
    expect(stray).toEqual([]);
  });

  it('tells of every end of an order', async () => {
    const { memberId, email } = await register();
    const order = newOrder(memberId, 'en');
    await notifications.announce(OrderRejected({ ...order, status: 'rejected', rejection: 'out-of-stock' }));
    await notifications.announce(OrderCancelled(order));
    await notifications.announce(OrderRefunded(order));
    const subjects = (await arrived(email, 4)).map(({ subject }) => subject);
    expect(new Set(subjects.slice(0, 3))).toEqual(
      new Set(['Your order could not be completed', 'Your order is cancelled', 'Your refund is done']),
    );
  });

  it('keeps the order of what it tells of an order, however its events come and with several instances', async () => {
    const other = await notifications.startAnother();
    const { memberId, email } = await register();
    const told = {
      confirmed: 'Your order is confirmed',
      cancelled: 'Your order is cancelled',
      refunded: 'Your refund is done',
    };
    const orders = Array.from({ length: 6 }, () => newOrder(memberId, 'en'));
    await Promise.all(
      orders.map(async (order) => {
        await notifications.announce(OrderRefunded(order));
        await notifications.announce(OrderCancelled({ ...order, wasConfirmed: true }));
        await notifications.announce(confirmed(order));
      }),
    );
    const mails = await arrived(email, 1 + 3 * orders.length);
    await other.stop();
    for (const { orderId } of orders) {
      const subjects = mails.filter(({ text }) => text.includes(orderId)).map(({ subject }) => subject);
      expect(subjects).toEqual([told.refunded, told.cancelled, told.confirmed]);
    }
  });

  it('does not wait for a confirmation that never was', async () => {
    const { memberId, email } = await register();
    await notifications.announce(OrderCancelled({ ...newOrder(memberId, 'en'), wasConfirmed: false }));
    const [mail] = await arrived(email, 2);
    expect(mail).toMatchObject({ subject: 'Your order is cancelled' });
  });

  it('tells a member that somebody tried to sign up with the address', async () => {
    const { memberId, email } = await register();
    await notifications.announce(SignUpRepeated({ memberId, language: 'en' }));
    const [mail] = await arrived(email, 2);
    expect(mail).toMatchObject({ subject: 'You are already a member' });
  });

  it('keeps the news of an order until it knows the member', async () => {
    const member = newMember();
    await notifications.announce(confirmed(newOrder(member.memberId, 'ko')));
    await new Promise((resolve) => setTimeout(resolve, 250));
    await expect(mailbox(member.email)).resolves.toEqual([]);
    await notifications.announce(MemberRegistered(member));
    const subjects = (await arrived(member.email, 2)).map(({ subject }) => subject);
    expect(subjects).toEqual(['주문이 확정되었습니다', '조각보에 오신 것을 환영합니다']);
  });

  it('pages through the mailbox, newest first, each mail once', async () => {
    const { memberId, email } = await register();
    for (let i = 0; i < 6; i++) await notifications.announce(SignUpRepeated({ memberId, language: 'ko' }));
    const all = await arrived(email, 7);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await notifications.ask(ListMailbox, { to: email.toUpperCase(), limit: 3, cursor });
      seen.push(...page.items.map(({ mailId }) => mailId));
      cursor = page.nextCursor ?? undefined;
      // What comes in between moves nothing.
      if (seen.length === 3) await register();
    } while (cursor);
    expect(seen).toEqual(all.map(({ mailId }) => mailId));
    expect(new Set(seen).size).toBe(7);
    // The six were sent side by side; that one was there before them is all that is certain of their times.
    const times = all.map(({ receivedAt }) => receivedAt);
    expect(times.at(-1)).toBe([...times].sort()[0]);
    expect(all.at(-1)!.subject).toBe('조각보에 오신 것을 환영합니다');
  });

  it.each(['0', '-1', 'x', '9'.repeat(19), randomUUID()])('does not know the cursor %s', async (cursor) => {
    await expect(notifications.ask(ListMailbox, { cursor })).rejects.toMatchObject({
      ...{ code: 'unknown-cursor', status: 400 },
    });
  });

  it('goes on after a restart where it was', async () => {
    const { memberId, email } = await register();
    await notifications.restart();
    await notifications.announce(SignUpRepeated({ memberId, language: 'ko' }));
    await arrived(email, 2);
  });
});
