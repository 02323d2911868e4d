import { describe, expect, it } from '@jest/globals';
import { check } from '@jogakbo/chaos/src/check.ts';
import { type Facts } from '@jogakbo/chaos/src/facts.ts';
import module from './index.ts';
import { type PurchaseRequest } from './purchase-log.ts';
import { type StoreFacts } from './store-facts.ts';

const orderId = 'order-1';
const productId = 'product-1';
const now = 1_000_000;

interface Run {
  log: PurchaseRequest[];
  facts: Facts & StoreFacts;
}

/** One member bought two pieces, without any fault. */
function buildRun(): Run {
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
        {
          name: 'checkout',
          key: orderId,
          steps: ['orders.order-placed', 'orders.order-confirmed'],
          ended: true,
        },
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
  new Set(check(module, log, facts, { lastFault: 0, isCalm: () => true }).map(({ rule }) => rule));
const getLedger = (facts: StoreFacts, ...amounts: number[]) =>
  amounts
    .flatMap((amount) => [
      { orderId, account: 'provider-receivable', amount },
      { orderId, account: 'sales', amount: -amount },
    ])
    .concat(facts.ledger);

/** A rule, and a change of the run that breaks it. */
const breaches: [string, (run: Run) => void][] = [
  ['the ledger sums to zero', ({ facts }) => facts.ledger.pop()],
  ['at most one capture', ({ facts }) => (facts.ledger = getLedger(facts, 24_000))],
  ['refunds do not exceed captures', ({ facts }) => (facts.ledger = getLedger(facts, -24_000, -24_000))],
  ['the captured amount is the total', ({ facts }) => (facts.orders[0]!.amount = 1)],
  ['paid exactly if sold', ({ facts }) => (facts.payments[0]!.status = 'voided')],
  ['the ledger has every movement', ({ facts }) => (facts.ledger = [])],
  ['the provider has the same status', ({ facts }) => (facts.charges[0]!.status = 'authorized')],
  ['the provider has the same status', ({ facts }) => (facts.charges = [])],
  // The provider charged twice, because the response to the first request was lost.
  ['the provider has the same status', ({ facts }) => facts.charges.push(facts.charges[0]!)],
  [
    'the provider has the same status',
    ({ facts }) => {
      facts.payments[0]!.status = 'voided';
      facts.charges[0]!.status = 'captured';
    },
  ],
  ['no charge without a payment', ({ facts }) => (facts.charges[0]!.orderId = null)],
  ['on hand, reserved and sold add up to received', ({ facts }) => (facts.stock[0]!.onHand = 7)],
  ['stock is never negative', ({ facts }) => (facts.stock[0]!.onHand = -1)],
  ['stock is never negative', ({ log }) => (log[2]!.available = -1)],
  ['no stock stays reserved', ({ facts }) => (facts.stock[0]!.reserved = 1)],
  ['sold equals bought', ({ facts }) => (facts.stock[0]!.sold = 4)],
  ['a receipt is booked once', ({ facts }) => (facts.stock[0]!.received = 20)],
  ['the reservation matches the order', ({ facts }) => (facts.reservations[0]!.status = 'held')],
  ['a reservation expires', ({ facts }) => (facts.reservations[0]!.expiresAt = now - 60_000)],
  ['an order ends exactly once', ({ facts }) => facts.orders[0]!.events.pop()],
  [
    'an order ends exactly once',
    ({ facts }) => facts.orders[0]!.events.push({ type: 'rejected', reason: 'timeout' }),
  ],
  ['the order list has the current status', ({ facts }) => (facts.orders[0]!.status = 'placed')],
  ['an order has a request', ({ facts }) => (facts.orders[0]!.key = 'key-2')],
  ['an order has the requested lines', ({ log }) => (log[1]!.quantity = 3)],
  ['a declined card buys nothing', ({ log }) => (log[1]!.token = 'tok_declined')],
  [
    'a good card is not declined',
    ({ facts }) => (facts.orders[0]!.events[1] = { type: 'rejected', reason: 'timeout' }),
  ],
  [
    'an accepted cancellation is carried out',
    ({ log }) => log.push({ at: 2, took: 1, who: 'member-1', what: 'cancel', orderId, status: 202 }),
  ],
  [
    'an order is cancelled only on request',
    ({ facts }) => facts.orders[0]!.events.push({ type: 'cancelled', reason: null }),
  ],
  [
    'one mail per outcome',
    ({ facts }) => facts.mails.push({ ...facts.mails[0]!, messageId: '<m2>', delivered: 1 }),
  ],
  ['one mail per outcome', ({ facts }) => facts.mails.pop()],
  ['no mail without its event', ({ facts }) => (facts.mails[0]!.kind = 'order-rejected')],
  ['a mail is delivered', ({ facts }) => (facts.mails[0]!.delivered = 0)],
  ['an acknowledged order exists', ({ facts }) => (facts.orders = [])],
  ['a reported status stays true', ({ log }) => (log[2]!.state = 'rejected')],
  ['one key, one answer', ({ log }) => log.push({ ...log[1]!, orderId: 'order-2' })],
  ['one key, one order', ({ facts }) => facts.orders.push({ ...facts.orders[0]!, orderId: 'order-2' })],
  ['every request gets a final response', ({ log }) => Object.assign(log[1]!, { status: 503 })],
  ['every request gets a final response', ({ log }) => (log[0]!.status = undefined)],
  ['no server error outside of fault windows', ({ log }) => (log[2]!.status = 503)],
  [
    'no server error outside of fault windows',
    ({ log }) => Object.assign(log[2]!, { status: undefined, error: 'ECONNRESET' }),
  ],
  ['orders are confirmed after the last fault', ({ facts }) => (facts.outbox[1]!.at = 0)],
  [
    'orders are confirmed after the last fault',
    (run) => {
      run.log = [];
      Object.assign(run.facts, { orders: [], outbox: [] });
    },
  ],
  ['search has every product', ({ facts }) => (facts.found = [])],
  ['search has every product', ({ facts }) => (facts.products = [])],
  ['search shows the stock on hand', ({ facts }) => (facts.found[0]!.available = 10)],
  ['search shows the stock on hand', ({ facts }) => (facts.found[0]!.available = null)],
  [
    'a valid request is not rejected',
    ({ log }) => Object.assign(log[2]!, { status: 404, code: 'not-found' }),
  ],
  [
    'an error reveals no internals',
    ({ log }) => Object.assign(log[2]!, { status: 500, text: 'Error: x\n    at handle (main.js:1)' }),
  ],
];

describe('the check of purchases', () => {
  it('finds no violation in a correct run', () => expect(getRules(buildRun())).toEqual(new Set()));

  it.each(breaches)('finds a breach of: %s', (rule, breach) => {
    const run = buildRun();
    breach(run);
    expect(getRules(run)).toContain(rule);
  });

  it('allows payments to publish a delayed command again, but not orders', () => {
    const repeatCommand = (service: string) => {
      const run = buildRun();
      const again = { ...run.facts.outbox[1]!, service, name: 'payments.authorize-payment' };
      run.facts.outbox.push({ ...again, id: 3, messageId: 'c' }, { ...again, id: 4, messageId: 'd' });
      run.facts.heard.push('d', 'c');
      return run;
    };
    expect(getRules(repeatCommand('payments'))).toEqual(new Set());
    expect(getRules(repeatCommand('orders'))).toEqual(
      new Set(['in order per subject', 'no message is published twice']),
    );
  });

  describe('of a free order', () => {
    const buildFreeRun = () => {
      const run = buildRun();
      run.log[1]!.token = undefined;
      run.facts.orders[0]!.amount = 0;
      Object.assign(run.facts, { payments: [], ledger: [], charges: [] });
      return run;
    };

    it('finds no violation without a payment', () => expect(getRules(buildFreeRun())).toEqual(new Set()));

    it.each(['captured', 'declined', 'returned'])('finds a payment that is %s', (status) => {
      const run = buildFreeRun();
      run.facts.payments.push({ orderId, status, amount: 0 });
      expect(getRules(run)).toContain('paid exactly if sold');
    });
  });

  it('allows both outcomes of a request without a response', () => {
    const run = buildRun();
    const { orderId: _orderId, status: _status, state: _state, ...unanswered } = run.log[1]!;
    const failed = { ...unanswered, error: 'ECONNRESET' };
    run.log.push(failed, { ...failed, key: 'key-2' });
    const faultWindows = { lastFault: 0, isCalm: () => false };
    const rules = check(module, run.log, run.facts, faultWindows).map(({ rule }) => rule);
    // The first request got its response at another attempt.
    expect(rules).toEqual(['every request gets a final response']);
  });
});
