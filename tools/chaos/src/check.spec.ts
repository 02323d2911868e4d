import { describe, expect, it } from '@jest/globals';
import { check } from './check.ts';
import { type LoggedRequest } from './client-log.ts';
import { type Facts } from './facts.ts';

const orderId = 'order-1';
const productId = 'product-1';
const now = 1_000_000;

interface Run {
  log: LoggedRequest[];
  facts: Facts;
}

/** One member who bought two pieces, and nothing went wrong. */
function goodRun(): Run {
  const lines = [{ productId, quantity: 2 }];
  const client = { at: 1, took: 5, who: 'member-1' };
  const row = { service: 'orders', subject: orderId, open: false, at: 1 };
  return {
    log: [
      { ...client, what: 'receive', key: 'receipt-1', productId, quantity: 10, status: 201 },
      {
        ...client,
        what: 'place',
        key: 'key-1',
        productId,
        quantity: 2,
        token: 'tok_ok',
        status: 202,
        orderId,
        state: 'placed',
      },
      { ...client, what: 'read-order', status: 200, orderId, state: 'confirmed' },
    ],
    facts: {
      at: now,
      orders: [
        {
          ...{ orderId, memberId: 'member-1', key: 'key-1', lines, amount: 24_000, status: 'confirmed' },
          events: ['placed', 'confirmed'].map((type) => ({ type, reason: null })),
        },
      ],
      sagas: [
        { name: 'checkout', orderId, steps: ['orders.order-placed', 'orders.order-confirmed'], ended: true },
      ],
      stock: [{ productId, onHand: 8, reserved: 0, sold: 2, received: 10 }],
      reservations: [{ orderId, status: 'sold', lines, expiresAt: now + 60_000 }],
      payments: [{ orderId, status: 'captured', amount: 24_000 }],
      ledger: [
        { orderId, account: 'provider-receivable', amount: 24_000 },
        { orderId, account: 'sales', amount: -24_000 },
      ],
      charges: [{ orderId, status: 'captured', amount: 24_000 }],
      mails: [{ orderId, kind: 'order-confirmed', messageId: '<m1>', delivered: 1 }],
      outbox: [
        { ...row, id: 1, messageId: 'a', name: 'orders.order-placed' },
        { ...row, id: 2, messageId: 'b', name: 'orders.order-confirmed' },
      ],
      queues: [{ name: 'orders.events', messages: 0, unacknowledged: 0 }],
      deadLetters: [],
      products: [productId],
      found: [{ productId, available: 8 }],
      rebuilt: [{ service: 'orders', name: 'order_list', rows: 1, differ: [] }],
      heard: ['a', 'b'],
      heardSince: 0,
    },
  };
}

const getRules = ({ log, facts }: Run) =>
  new Set(check(log, facts, { lastFault: 0, isCalm: () => true }).map(({ rule }) => rule));
const getLedger = (facts: Facts, ...amounts: number[]) =>
  amounts
    .flatMap((amount) => [
      { orderId, account: 'provider-receivable', amount },
      { orderId, account: 'sales', amount: -amount },
    ])
    .concat(facts.ledger);

/** What is done to the good run, and the rule that it breaks. */
const breaches: [string, (run: Run) => void][] = [
  ['the ledger sums to zero', ({ facts }) => facts.ledger.pop()],
  ['at most one capture', ({ facts }) => (facts.ledger = getLedger(facts, 24_000))],
  [
    'no more is refunded than was captured',
    ({ facts }) => (facts.ledger = getLedger(facts, -24_000, -24_000)),
  ],
  ['what is captured is the total', ({ facts }) => (facts.orders[0]!.amount = 1)],
  ['paid exactly if sold', ({ facts }) => (facts.payments[0]!.status = 'voided')],
  ['the ledger knows every movement', ({ facts }) => (facts.ledger = [])],
  ['the provider agrees', ({ facts }) => (facts.charges[0]!.status = 'authorized')],
  ['the provider agrees', ({ facts }) => (facts.charges = [])],
  // It charged and hung up, and was asked again as if it had not.
  ['the provider agrees', ({ facts }) => facts.charges.push(facts.charges[0]!)],
  [
    'the provider agrees',
    ({ facts }) => {
      facts.payments[0]!.status = 'voided';
      facts.charges[0]!.status = 'captured';
    },
  ],
  ['no charge without a payment', ({ facts }) => (facts.charges[0]!.orderId = null)],
  ['every piece is somewhere', ({ facts }) => (facts.stock[0]!.onHand = 7)],
  ['stock is never negative', ({ facts }) => (facts.stock[0]!.onHand = -1)],
  ['stock is never negative', ({ log }) => (log[2]!.available = -1)],
  ['nothing stays reserved', ({ facts }) => (facts.stock[0]!.reserved = 1)],
  ['sold is what was bought', ({ facts }) => (facts.stock[0]!.sold = 4)],
  ['what was received is there once', ({ facts }) => (facts.stock[0]!.received = 20)],
  ['pieces go where the order went', ({ facts }) => (facts.reservations[0]!.status = 'held')],
  ['a reservation expires', ({ facts }) => (facts.reservations[0]!.expiresAt = now - 60_000)],
  ['an order ends exactly once', ({ facts }) => facts.orders[0]!.events.pop()],
  [
    'an order ends exactly once',
    ({ facts }) => facts.orders[0]!.events.push({ type: 'rejected', reason: 'timeout' }),
  ],
  ['an order is listed as it is', ({ facts }) => (facts.orders[0]!.status = 'placed')],
  ['an order is one that somebody placed', ({ facts }) => (facts.orders[0]!.key = 'key-2')],
  ['an order holds what was asked', ({ log }) => (log[1]!.quantity = 3)],
  ['a declined card buys nothing', ({ log }) => (log[1]!.token = 'tok_declined')],
  [
    'a good card is not declined',
    ({ facts }) => (facts.orders[0]!.events[1] = { type: 'rejected', reason: 'timeout' }),
  ],
  [
    'a cancellation that was taken is done',
    ({ log }) => log.push({ at: 2, took: 1, who: 'member-1', what: 'cancel', orderId, status: 202 }),
  ],
  [
    'nothing is cancelled by itself',
    ({ facts }) => facts.orders[0]!.events.push({ type: 'cancelled', reason: null }),
  ],
  [
    'one mail for each end',
    ({ facts }) => facts.mails.push({ ...facts.mails[0]!, messageId: '<m2>', delivered: 1 }),
  ],
  ['one mail for each end', ({ facts }) => facts.mails.pop()],
  ['no mail of what did not happen', ({ facts }) => (facts.mails[0]!.kind = 'order-rejected')],
  ['a mail arrives', ({ facts }) => (facts.mails[0]!.delivered = 0)],
  ['a saga ends', ({ facts }) => (facts.sagas[0]!.ended = false)],
  ['a step is taken once', ({ facts }) => facts.sagas[0]!.steps.push('orders.order-placed')],
  ['outboxes are empty', ({ facts }) => (facts.outbox[1]!.open = true)],
  ['what is marked published was published', ({ facts }) => facts.heard.pop()],
  ['in order per subject', ({ facts }) => facts.heard.reverse()],
  [
    'nothing is said twice',
    ({ facts }) => {
      facts.outbox.push({ ...facts.outbox[1]!, id: 3, messageId: 'c' });
      facts.heard.push('c');
    },
  ],
  ['queues are empty', ({ facts }) => (facts.queues[0]!.unacknowledged = 1)],
  [
    'nothing is dead',
    ({ facts }) =>
      facts.deadLetters.push({ queue: 'orders.dead', pattern: 'x', cause: 'y', payload: orderId }),
  ],
  ['an acknowledged order exists', ({ facts }) => (facts.orders = [])],
  ['what was told stays true', ({ log }) => (log[2]!.state = 'rejected')],
  ['one key, one answer', ({ log }) => log.push({ ...log[1]!, orderId: 'order-2' })],
  ['one key, one order', ({ facts }) => facts.orders.push({ ...facts.orders[0]!, orderId: 'order-2' })],
  ['every request is answered in the end', ({ log }) => Object.assign(log[1]!, { status: 503 })],
  ['every request is answered in the end', ({ log }) => (log[0]!.status = undefined)],
  ['no fault in a calm time', ({ log }) => (log[2]!.status = 503)],
  [
    'no fault in a calm time',
    ({ log }) => Object.assign(log[2]!, { status: undefined, error: 'ECONNRESET' }),
  ],
  ['the store sells again', ({ facts }) => (facts.outbox[1]!.at = 0)],
  [
    'the store sells again',
    (run) => {
      run.log = [];
      Object.assign(run.facts, { orders: [], outbox: [] });
    },
  ],
  ['search knows every product', ({ facts }) => (facts.found = [])],
  ['search knows every product', ({ facts }) => (facts.products = [])],
  ['search shows the stock there is', ({ facts }) => (facts.found[0]!.available = 10)],
  ['search shows the stock there is', ({ facts }) => (facts.found[0]!.available = null)],
  ['a read model built again is the same', ({ facts }) => facts.rebuilt[0]!.differ.push('order_summary {}')],
  ['a read model built again is the same', ({ facts }) => (facts.rebuilt[0]!.fault = 'TypeError')],
  ['a valid request is not refused', ({ log }) => Object.assign(log[2]!, { status: 404, code: 'not-found' })],
  [
    'a fault tells nothing of our insides',
    ({ log }) => Object.assign(log[2]!, { status: 500, text: 'Error: x\n    at handle (main.js:1)' }),
  ],
];

describe('the check', () => {
  it('finds nothing where nothing is wrong', () => expect(getRules(goodRun())).toEqual(new Set()));

  it.each(breaches)('finds a breach of: %s', (rule, breach) => {
    const run = goodRun();
    breach(run);
    expect(getRules(run)).toContain(rule);
  });

  it('lets payments send itself again what has to wait; orders sends it once', () => {
    const findRun = (service: string) => {
      const run = goodRun();
      const again = { ...run.facts.outbox[1]!, service, name: 'payments.authorize-payment' };
      run.facts.outbox.push({ ...again, id: 3, messageId: 'c' }, { ...again, id: 4, messageId: 'd' });
      run.facts.heard.push('d', 'c');
      return run;
    };
    expect(getRules(findRun('payments'))).toEqual(new Set());
    expect(getRules(findRun('orders'))).toEqual(new Set(['in order per subject', 'nothing is said twice']));
  });

  describe('of a free order', () => {
    const freeRun = () => {
      const run = goodRun();
      run.log[1]!.token = undefined;
      run.facts.orders[0]!.amount = 0;
      Object.assign(run.facts, { payments: [], ledger: [], charges: [] });
      return run;
    };

    it('finds nothing where no payment exists', () => expect(getRules(freeRun())).toEqual(new Set()));

    it.each(['captured', 'declined', 'returned'])('finds a payment that is %s', (status) => {
      const run = freeRun();
      run.facts.payments.push({ orderId, status, amount: 0 });
      expect(getRules(run)).toContain('paid exactly if sold');
    });
  });

  it('takes an unanswered request for done or not done', () => {
    const run = goodRun();
    const { orderId: _none, status: _no, state: _neither, ...unanswered } = run.log[1]!;
    const died = { ...unanswered, error: 'ECONNRESET' };
    run.log.push(died, { ...died, key: 'key-2' });
    const stormy = { lastFault: 0, isCalm: () => false };
    const rules = check(run.log, run.facts, stormy).map(({ rule }) => rule);
    // The first was answered at another try.
    expect(rules).toEqual(['every request is answered in the end']);
  });
});
