import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { OutOfOrder } from '@jogakbo/consistency/aggregate';
import { catchUp, mustCapture, toPaymentId, toReturn, type Payment, type PaymentStatus } from './payment.ts';
import type { Charge } from './provider.ts';

const orderId = '019a0000-0000-7000-8000-000000000001';

describe('the id of a payment', () => {
  it('is a UUID, the same for the same order and another for another', () => {
    const paymentId = toPaymentId(orderId);
    expect(z.uuid({ version: 'v8' }).safeParse(paymentId).success).toBe(true);
    expect(toPaymentId(orderId)).toBe(paymentId);
    expect(toPaymentId(orderId.replace(/1$/, '2'))).not.toBe(paymentId);
  });
});

it('captures only what is authorized, and waits for it', () => {
  expect(mustCapture('authorized')).toBe(true);
  for (const over of ['captured', 'voided', 'refunded', 'returned'] as const)
    expect(mustCapture(over)).toBe(false);
  expect(() => mustCapture(undefined)).toThrow(OutOfOrder);
  expect(() => mustCapture('declined')).toThrow('declined');
});

it.each<[PaymentStatus | undefined, 'void' | 'refund' | undefined]>([
  [undefined, 'void'],
  ['authorized', 'void'],
  ['captured', 'refund'],
  ['declined', undefined],
  ['voided', undefined],
  ['refunded', undefined],
  ['returned', undefined],
])('returning what is %s: %s', (status, step) => {
  expect(toReturn(status)).toEqual(step);
});

describe('catching up with the provider', () => {
  const order = { memberId: orderId, amount: { amount: 42_000, currency: 'KRW' } };
  const is = (status: PaymentStatus): Payment => ({ status, unwanted: false, reference: 'ch_1', ...order });
  const charge = (status: Charge['status']): Charge =>
    status === 'declined' ? { status, reason: 'card-declined' } : { status, reference: 'ch_1' };
  const types = (from: PaymentStatus | undefined, to: Charge['status'], about?: typeof order) =>
    catchUp(from && is(from), charge(to), about).map(({ type }) => type);

  it.each<[PaymentStatus | undefined, Charge['status'], PaymentStatus[]]>([
    [undefined, 'authorized', ['authorized']],
    [undefined, 'declined', ['declined']],
    // A return was cut off before its commit: this is no decline.
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

  it('ends what was never known here, whatever was decided', () => {
    expect(types(undefined, 'voided')).toEqual(['returned']);
    expect(types(undefined, 'declined')).toEqual(['returned']);
  });

  it.each<[PaymentStatus | undefined, Charge['status']]>([
    [undefined, 'captured'],
    ['authorized', 'declined'],
    ['captured', 'voided'],
    ['captured', 'authorized'],
  ])('does not make up a way from %s to %s', (from, to) => {
    expect(() => types(from, to)).toThrow('yet its charge is');
  });
});
