import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { TooEarly } from '@jogakbo/consistency/aggregate';
import { paymentIdOf, toCapture, toReturn, type PaymentStatus, type Step } from './payment.ts';

const orderId = '019a0000-0000-7000-8000-000000000001';

describe('the id of a payment', () => {
  it('is a UUID, the same for the same order and another for another', () => {
    const paymentId = paymentIdOf(orderId);
    expect(z.uuid({ version: 'v8' }).safeParse(paymentId).success).toBe(true);
    expect(paymentIdOf(orderId)).toBe(paymentId);
    expect(paymentIdOf(orderId.replace(/1$/, '2'))).not.toBe(paymentId);
  });
});

const nothing = undefined;

it.each<[PaymentStatus, Step | undefined]>([
  ['authorized', { ask: 'capture', becomes: 'captured' }],
  ['captured', nothing],
  ['voided', nothing],
  ['refunded', nothing],
  ['returned', nothing],
])('capturing what is %s', (status, step) => {
  expect(toCapture(status)).toEqual(step);
});

it('waits with a capture until something is authorized, and never captures what was declined', () => {
  expect(() => toCapture(undefined)).toThrow(TooEarly);
  expect(() => toCapture('declined')).toThrow('declined');
});

it.each<[PaymentStatus | undefined, Step | undefined]>([
  [undefined, { ask: 'void', becomes: 'returned' }],
  ['authorized', { ask: 'void', becomes: 'voided' }],
  ['captured', { ask: 'refund', becomes: 'refunded' }],
  ['declined', nothing],
  ['voided', nothing],
  ['refunded', nothing],
  ['returned', nothing],
])('returning what is %s', (status, step) => {
  expect(toReturn(status)).toEqual(step);
});
