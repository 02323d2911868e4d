import { randomUUID } from 'node:crypto';
import type { Body } from '@jogakbo/contract';
import { QuoteProducts } from '@jogakbo/contracts-catalog';
import { CommitStock, ReserveStock, ReturnStock } from '@jogakbo/contracts-inventory';
import { PlaceOrder } from '@jogakbo/contracts-orders';
import {
  AuthorizePayment,
  CapturePayment,
  CheckPaymentToken,
  ReturnPayment,
} from '@jogakbo/contracts-payments';
import { ServiceUnderTest } from '@jogakbo/testing';
import { OrdersModule } from '../src/orders.module.ts';

export const member = () => ({ memberId: randomUUID(), roles: ['member'] });
export const productId = randomUUID();
const freeProductId = randomUUID();
export const shipTo = { name: 'Kim', line1: 'Jong-ro 1', city: 'Seoul', postalCode: '03000', country: 'KR' };
export const basket = (quantity = 2, token = 'tok_ok') => ({
  lines: [{ productId, quantity }],
  shipTo,
  payment: { token },
});

/** Without a payment. */
export const free = () => ({ lines: [{ productId: freeProductId, quantity: 2 }], shipTo });

/** The price of `basket()`. */
export const total = { amount: 2_000, currency: 'KRW' };

export type OrdersUnderTest = Awaited<ReturnType<typeof startOrders>>;

/** Starts the service with stubs of those that it calls. */
export async function startOrders() {
  const orders = await ServiceUnderTest.start(OrdersModule);
  let quotes = 0;
  await orders.stub('catalog', [
    [
      QuoteProducts,
      (query: Body<typeof QuoteProducts>) => {
        quotes++;
        return quote(query);
      },
    ],
  ]);
  const inventory = await orders.stub('inventory', [
    [ReserveStock, () => undefined],
    [CommitStock, () => undefined],
    [ReturnStock, () => undefined],
  ]);
  const payments = await orders.stub('payments', [
    [CheckPaymentToken, ({ token }: { token: string }) => ({ known: token !== 'tok_unheard_of' })],
    [AuthorizePayment, () => undefined],
    [CapturePayment, () => undefined],
    [ReturnPayment, () => undefined],
  ]);
  const place = (
    caller = member(),
    idempotencyKey: string = randomUUID(),
    body: Body<typeof PlaceOrder> = basket(),
  ) => orders.ask(PlaceOrder, body, { caller, idempotencyKey });
  return { orders, inventory, payments, place, countQuotes: () => quotes };
}

function quote({ productIds, earlier = [] }: Body<typeof QuoteProducts>) {
  const price = { amount: 1_000, currency: 'KRW' };
  const known = productIds.filter((id) => id === productId || id === freeProductId);
  return {
    items: known.map((id) => ({
      ...{ productId: id, name: '조각보', version: 4 },
      price: id === freeProductId ? { ...price, amount: 0 } : price,
    })),
    // Earlier prices were 900, 1,000 and 1,100; version 4 has no recorded price.
    earlier: earlier
      .filter(({ version }) => version < 4)
      .map((one) => ({ ...one, price: { amount: 800 + 100 * one.version, currency: 'KRW' } })),
  };
}
