import { describe, expect, it } from '@jest/globals';
import {
  cancel,
  confirm,
  evolve,
  refund,
  reject,
  calculateTotal,
  type Order,
  type OrderEvent,
} from './order.ts';

const placed: OrderEvent = {
  type: 'placed',
  memberId: 'm',
  language: 'ko',
  lines: [{ productId: 'p', name: '조각보', quantity: 2, price: { amount: 100, currency: 'KRW' } }],
  total: { amount: 200, currency: 'KRW' },
  shipTo: { name: 'Kim', line1: 'Jong-ro 1', city: 'Seoul', postalCode: '03000', country: 'KR' },
};
const given = (...events: OrderEvent[]): Order => events.reduce<Order | undefined>(evolve, undefined)!;

describe('an order', () => {
  it('is confirmed once', () => {
    expect(confirm(given(placed))).toEqual([{ type: 'confirmed' }]);
    expect(confirm(given(placed, { type: 'confirmed' }))).toEqual([]);
  });

  it('is neither confirmed nor rejected after its cancellation', () => {
    const order = given(placed, { type: 'cancelled' });
    expect(confirm(order)).toEqual([]);
    expect(reject(order, 'timeout')).toEqual([]);
  });

  it('is not rejected after its confirmation', () => {
    expect(reject(given(placed, { type: 'confirmed' }), 'timeout')).toEqual([]);
  });

  it('can be cancelled before and after its confirmation, and again without effect', () => {
    expect(cancel(given(placed))).toEqual([{ type: 'cancelled' }]);
    expect(cancel(given(placed, { type: 'confirmed' }))).toEqual([{ type: 'cancelled' }]);
    expect(cancel(given(placed, { type: 'cancelled' }))).toEqual([]);
  });

  it('cannot be cancelled once it is rejected', () => {
    expect(() => cancel(given(placed, { type: 'rejected', reason: 'out-of-stock' }))).toThrow(
      'the order is rejected',
    );
  });

  it('is refunded only after its cancellation', () => {
    expect(refund(given(placed, { type: 'confirmed' }))).toEqual([]);
    expect(refund(given(placed, { type: 'confirmed' }, { type: 'cancelled' }))).toEqual([
      { type: 'refunded' },
    ]);
  });

  it('keeps the outcome of its checkout after later events', () => {
    const order = given(placed, { type: 'confirmed' }, { type: 'cancelled' }, { type: 'refunded' });
    expect(order).toMatchObject({ status: 'refunded', outcome: 'confirmed' });
    expect(given(placed, { type: 'rejected', reason: 'out-of-stock' })).toMatchObject({
      rejection: 'out-of-stock',
    });
  });
});

describe('calculateTotal', () => {
  it('adds up the lines, in one currency only', () => {
    const price = (amount: number, currency = 'KRW') => ({ amount, currency });
    expect(
      calculateTotal([
        { quantity: 3, price: price(5) },
        { quantity: 1, price: price(7) },
      ]),
    ).toEqual(price(22));
    expect(() =>
      calculateTotal([
        { quantity: 1, price: price(5) },
        { quantity: 1, price: price(7, 'EUR') },
      ]),
    ).toThrow();
  });
});
