import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { OutOfOrder } from '@jogakbo/consistency/out-of-order';
import {
  canCapture,
  catchUp,
  getReturnStep,
  toPaymentId,
  type Payment,
  type PaymentStatus,
} from './payment.ts';
import type { Charge } from './provider.ts';

const orderId = '019a0000-0000-7000-8000-000000000001';

describe('toPaymentId', () => {
  it('is a UUID that depends on the order id only', () => {
    const paymentId = toPaymentId(orderId);
    expect(z.uuid({ version: 'v8' }).safeParse(paymentId).success).toBe(true);
    expect(toPaymentId(orderId)).toBe(paymentId);
    expect(toPaymentId(orderId.replace(/1$/, '2'))).not.toBe(paymentId);
  });
});

it('captures only an authorized payment, and is out of order before the authorization', () => {
  expect(canCapture('authorized')).toBe(true);
  for (const status of ['captured', 'voided', 'refunded', 'returned'] as const)
    expect(canCapture(status)).toBe(false);
  expect(() => canCapture(undefined)).toThrow(OutOfOrder);
  expect(() => canCapture('declined')).toThrow('declined');
});

it.each<[PaymentStatus | undefined, 'void' | 'refund' | undefined]>([
  [undefined, 'void'],
  ['authorized', 'void'],
  ['captured', 'refund'],
  ['declined', undefined],
  ['voided', undefined],
  ['refunded', undefined],
  ['returned', undefined],
])('the step that returns a payment with status %s is %s', (status, step) => {
  expect(getReturnStep(status)).toEqual(step);
});

describe('catchUp', () => {
  const order = { memberId: orderId, amount: { amount: 42_000, currency: 'KRW' } };
  const toPayment = (status: PaymentStatus): Payment => ({
    status,
    unwanted: false,
    reference: 'ch_1',
    ...order,
  });
  const charge = (status: Charge['status']): Charge =>
    status === 'declined' ? { status, reason: 'card-declined' } : { status, reference: 'ch_1' };
  const types = (from: PaymentStatus | undefined, to: Charge['status'], details?: typeof order) =>
    catchUp(from && toPayment(from), charge(to), details).map(({ type }) => type);

  it.each<[PaymentStatus | undefined, Charge['status'], PaymentStatus[]]>([
    [undefined, 'authorized', ['authorized']],
    [undefined, 'declined', ['declined']],
    // A return crashed before its commit: not a decline.
    [undefined, 'voided', ['returned']],
    [undefined, 'captured', ['authorized', 'captured']],
    [undefined, 'refunded', ['authorized', 'captured', 'refunded']],
    ['authorized', 'authorized', []],
    ['authorized', 'captured', ['captured']],
    ['authorized', 'voided', ['voided']],
    ['authorized', 'refunded', ['captured', 'refunded']],
    ['captured', 'captured', []],
    ['captured', 'refunded', ['refunded']],
    ['refunded', 'refunded', []],
  ])('from %s to %s', (from, to, events) => {
    expect(types(from, to, order)).toEqual(events);
  });

  it('marks an unrecorded payment as returned, whatever the provider decided', () => {
    expect(types(undefined, 'voided')).toEqual(['returned']);
    expect(types(undefined, 'declined')).toEqual(['returned']);
  });

  it.each<[PaymentStatus | undefined, Charge['status']]>([
    [undefined, 'captured'],
    ['authorized', 'declined'],
    ['captured', 'voided'],
    ['captured', 'authorized'],
  ])('rejects the transition from %s to %s', (from, to) => {
    expect(() => types(from, to)).toThrow('but its charge is');
  });
});
