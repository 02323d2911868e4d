import { randomUUIDv7 } from 'node:crypto';
import type { Body, Reply } from '@jogakbo/contract';
import { QuoteProducts } from '@jogakbo/contracts-catalog';
import type { Money } from '@jogakbo/contracts-commerce';
import { PlaceOrder, StartCheckout } from '@jogakbo/contracts-orders';
import { CheckPaymentToken } from '@jogakbo/contracts-payments';
import { append, noEvents, type UnitOfWork } from '@jogakbo/consistency';
import { Ask, Handles, RemoteFault } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { countOpenOrder } from './open-orders.ts';
import { isPriceHigher, order, calculateTotal } from './order.ts';

type Command = Body<typeof PlaceOrder>;
type Quotes = Reply<typeof QuoteProducts>;

@Controller()
export class PlaceOrderHandler {
  constructor(private readonly ask: Ask) {}

  /** Writes nothing before both calls have returned, and holds no database connection during them. */
  @Handles(PlaceOrder)
  async handle({ lines, expectedTotal, shipTo, payment }: Command, work: UnitOfWork) {
    const { memberId } = work.caller;
    const [quotes, isKnown] = await Promise.all([
      this.#quote(lines),
      payment ? this.#isTokenKnown(payment.token) : false,
    ]);
    const priced = priceLines(lines, quotes);
    if (new Set(priced.map(({ price }) => price.currency)).size > 1)
      throw PlaceOrder.reject('mixed-currencies');
    const total = calculateTotal(priced);
    assertPriceNotIncreased({ lines, expectedTotal }, quotes, total);
    const isFree = total.amount === 0;
    if (!isFree) assertPayable(payment, isKnown);

    const orderId = randomUUIDv7();
    await countOpenOrder(work, orderId, memberId);
    const placed = { memberId, language: work.language, lines: priced, total };
    await append(work, order, orderId, noEvents, [{ type: 'placed', ...placed, shipTo }]);
    const quantities = priced.map(({ productId, quantity }) => ({ productId, quantity }));
    // The only way of the token: the order does not store it, and its events do not contain it.
    const checkout = { orderId, memberId, lines: quantities, total, ...(!isFree && { payment }) };
    work.send(StartCheckout(checkout));
    return { orderId, status: 'placed' as const, total };
  }

  #quote(lines: Command['lines']): Promise<Quotes> {
    const earlier = lines.flatMap(({ productId, priceVersion: version }) =>
      version === undefined ? [] : [{ productId, version }],
    );
    const productIds = [...new Set(lines.map(({ productId }) => productId))];
    return this.ask(QuoteProducts, { productIds, ...(earlier.length > 0 && { earlier }) });
  }

  /** True if payments is unavailable: the checkout then rejects an order with an unknown token. */
  async #isTokenKnown(token: string): Promise<boolean> {
    const answer = this.ask(CheckPaymentToken, { token }, { timeout: 1_000 });
    return answer.then(
      ({ known }) => known,
      (error: unknown) => {
        if (error instanceof RemoteFault) return true;
        throw error;
      },
    );
  }
}

/** Merges the lines by product and adds current names and prices. @throws Rejection `unknown-product` */
function priceLines(lines: Command['lines'], { items }: Quotes) {
  const quotes = new Map(items.map((item) => [item.productId, item]));
  const unknown = lines.flatMap(({ productId }, index) =>
    quotes.has(productId) ? [] : [{ path: `lines.${index}.productId`, message: 'not on sale' }],
  );
  if (unknown.length > 0)
    throw PlaceOrder.reject('unknown-product', 'some products are not on sale', unknown);
  return [...Map.groupBy(lines, ({ productId }) => productId)].map(([productId, sameProduct]) => {
    const { name, price } = quotes.get(productId)!;
    return { productId, name, price, quantity: sameProduct.reduce((sum, { quantity }) => sum + quantity, 0) };
  });
}

/** @throws Rejection `payment-required` or `unknown-payment-token` */
function assertPayable(payment: Command['payment'], isKnown: boolean): void {
  if (!payment)
    throw PlaceOrder.reject('payment-required', 'a total above 0 requires a payment', [
      { path: 'payment', message: 'required if the total is above 0' },
    ]);
  if (!isKnown)
    throw PlaceOrder.reject('unknown-payment-token', 'the payment token is unknown to the payment provider', [
      { path: 'payment.token', message: 'unknown' },
    ]);
}

/** @throws Rejection `price-changed` with the current total, if the member saw a lower price */
function assertPriceNotIncreased(
  { lines, expectedTotal }: Pick<Command, 'lines' | 'expectedTotal'>,
  { items, earlier }: Quotes,
  total: Money,
): void {
  const increases = lines.flatMap(({ productId, priceVersion }, index) => {
    if (priceVersion === undefined) return [];
    const now = items.find((item) => item.productId === productId)!.price;
    const seen = earlier.find((one) => one.productId === productId && one.version === priceVersion)?.price;
    return isPriceHigher(now, seen)
      ? [{ path: `lines.${index}.priceVersion`, message: 'the price has risen' }]
      : [];
  });
  if (expectedTotal && isPriceHigher(total, expectedTotal))
    increases.push({ path: 'expectedTotal', message: 'the total is higher' });
  if (increases.length > 0)
    throw PlaceOrder.reject('price-changed', 'a price has risen since it was read', increases).with({
      total,
    });
}
