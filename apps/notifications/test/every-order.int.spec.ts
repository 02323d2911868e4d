import { randomUUIDv7 } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MemberRegistered } from '@jogakbo/contracts-identity';
import { OrderCancelled, OrderConfirmed, OrderRefunded } from '@jogakbo/contracts-orders';
import { UnitsOfWork, type UnitOfWork } from '@jogakbo/consistency';
import { childTraceparent, MessageContext } from '@jogakbo/messaging';
import { cartesianProduct, eventually, interleavings, ServiceUnderTest } from '@jogakbo/testing';
import { sampleCases } from '@jogakbo/testing/full-runs';
import { MailOrderOutcomeHandler } from '../src/mail-order-outcome.ts';
import { MailServer } from '../src/mail-server.ts';
import { NotificationsModule } from '../src/notifications.module.ts';

const events = { confirmed: OrderConfirmed, cancelled: OrderCancelled, refunded: OrderRefunded };
type Event = keyof typeof events;
const methods = { confirmed: 'onConfirmed', cancelled: 'onCancelled', refunded: 'onRefunded' } as const;
/** The order in which the mails must arrive. */
const expectedOrder: Event[] = ['confirmed', 'cancelled', 'refunded'];

/** `crash`: fails before the commit. */
type Step = `${Event}: ${'run' | 'crash'}`;

const schedules = cartesianProduct(
  expectedOrder.map((event): Step[][] => [[`${event}: run`], [`${event}: crash`, `${event}: run`]]),
)
  .filter((actionLists) => actionLists.flat().length <= 4)
  .flatMap(interleavings);

class Crash extends Error {}

interface Case {
  orderId: string;
  steps: Step[];
  ids: Record<Event, string>;
  /** The process crashes after the mail server has accepted this mail. */
  crashesAfter: Event | undefined;
}

describe('mails about one order, in every event order and with a crash at every commit', () => {
  const memberId = randomUUIDv7();
  const crashing = new Set<string>();
  let notifications: ServiceUnderTest;

  beforeAll(async () => {
    notifications = await ServiceUnderTest.start(NotificationsModule, {
      RETRY_DELAYS: '50,100,200,400,800,1600,3200',
      DATABASE_POOL: '12',
    });
    const server = notifications.get(MailServer);
    const send = server.send.bind(server);
    server.send = async (mail) => {
      await send(mail);
      if (crashing.delete(mail.messageId)) throw new Crash();
    };
    const member = { memberId, email: 'reader@example.com', name: 'Ada', language: 'en' as const };
    await notifications.announce(MemberRegistered(member));
    await eventually(async () => (await notifications.query('SELECT FROM member')).length === 1);
  });
  afterAll(() => notifications.stop());

  const toMessageId = (eventId: string) => `<${eventId}@jogakbo.example>`;

  /** Handles the event as if the broker had delivered it. */
  function deliver(event: Event, { orderId, ids }: Case, crashes = false): Promise<unknown> {
    const contract = events[event];
    const money = { amount: 84_000, currency: 'KRW' };
    const line = { productId: randomUUIDv7(), name: '조각보', quantity: 1, price: money };
    const order = { orderId, memberId, language: 'en' as const, lines: [line], total: money };
    const incoming = {
      pattern: contract.name,
      data: order,
      messageId: ids[event],
      sender: undefined,
      key: undefined,
      headers: {},
      replyTo: undefined,
      correlationId: undefined,
      packetId: undefined,
      callContext: { traceparent: childTraceparent(), language: 'en' as const },
      idempotencyKey: undefined,
      redelivered: true,
      failures: 0,
      firstFailedAt: undefined,
      wasDeadLetteredElsewhere: false,
      isEdited: false,
    };
    const handler = notifications.get(MailOrderOutcomeHandler);
    return notifications.get(UnitsOfWork).middleware(new MessageContext(contract, incoming), async (work) => {
      const handle = handler[methods[event]].bind(handler) as (
        data: object,
        work: UnitOfWork,
      ) => Promise<void>;
      await handle({ ...order, status: 'confirmed', wasConfirmed: true }, work as UnitOfWork);
      if (crashes) throw new Crash();
    });
  }

  /** Runs one schedule, then redelivers failed events, as the retry queue does. */
  async function runCase(one: Case): Promise<void> {
    const open = new Set<Event>();
    const attempt = (event: Event, crashes = false) =>
      deliver(event, one, crashes).then(
        () => void open.delete(event),
        () => void open.add(event),
      );
    for (const step of one.steps) {
      const [event, action] = step.split(': ') as [Event, 'run' | 'crash'];
      await attempt(event, action === 'crash');
    }
    for (let round = 0; round < 3 && open.size > 0; round++)
      for (const event of [...open]) await attempt(event);
  }

  it('sends the mails in order, and twice only if the acknowledgement was lost', async () => {
    const all = schedules.flatMap((steps) =>
      [undefined, ...expectedOrder].map((crashesAfter): Case => {
        const ids = { confirmed: randomUUIDv7(), cancelled: randomUUIDv7(), refunded: randomUUIDv7() };
        return { orderId: randomUUIDv7(), steps, ids, crashesAfter };
      }),
    );
    const cases = sampleCases(all);
    for (const { ids, crashesAfter } of cases) if (crashesAfter) crashing.add(toMessageId(ids[crashesAfter]));
    const waiting = [...cases];
    const workers = Array.from({ length: 12 }, async () => {
      for (let next = waiting.pop(); next; next = waiting.pop()) await runCase(next);
    });
    await Promise.all(workers);
    await eventually(
      async () => (await notifications.query('SELECT FROM mail WHERE sent_at IS NULL')).length === 0,
      60_000,
    );

    const arrivals = await notifications.query<{ id: string }>(
      'SELECT message_id AS id FROM mailbox ORDER BY mailbox_id',
    );
    const arrivalsById = Map.groupBy(
      arrivals.map(({ id }, at) => ({ id, at })),
      ({ id }) => id,
    );
    const violations = cases.flatMap(({ steps, ids, crashesAfter }) => {
      const received = expectedOrder.map((event) => arrivalsById.get(toMessageId(ids[event])) ?? []);
      const counts = received.map(({ length }) => length);
      const wanted = expectedOrder.map((event) => (event === crashesAfter ? 2 : 1));
      const first = received.map(([one]) => one?.at ?? -1);
      const isOrdered = first.every((at, index) => index === 0 || at > first[index - 1]!);
      return String(counts) === String(wanted) && isOrdered
        ? []
        : [`${steps.join(', ')}, lost acknowledgement: ${crashesAfter}: received ${counts}, at ${first}`];
    });
    expect(violations).toEqual([]);
  }, 120_000);
});
