import { expect, it } from '@jest/globals';
import type { ConsumeMessage } from 'amqplib';
import { planRequeue } from './requeue.ts';

const plan = (count: number | undefined, redelivered = count !== undefined) => {
  const headers = count === undefined ? {} : { 'x-delivery-count': count };
  return planRequeue({ fields: { redelivered }, properties: { headers } } as ConsumeMessage);
};

it('returns a message for two minutes, in fewer deliveries than the delivery limit', () => {
  expect(plan(undefined)).toEqual({ delayMs: 1_000, isReturned: true });
  const returns = Array.from({ length: 20 }, (_, count) => plan(count)).filter(
    ({ isReturned }) => isReturned,
  );
  expect(returns.length).toBeLessThan(19);
  expect(returns.reduce((sum, { delayMs }) => sum + delayMs, 0)).toBeGreaterThan(120_000);
});

it('then keeps it, and tries again after the longest delay', () => {
  expect(plan(19)).toEqual({ delayMs: 15_000, isReturned: false });
  expect(plan(2_000)).toEqual({ delayMs: 15_000, isReturned: false });
});

it('does not read the number of deliveries from a header of the sender', () => {
  expect(plan(19, false)).toEqual({ delayMs: 1_000, isReturned: true });
});
