import { randomUUIDv7 } from 'node:crypto';
import type { Body, Money, Reply } from '@jogakbo/contract';
import { QuoteProducts } from '@jogakbo/contracts-catalog';
import { OrderPlaced, PlaceOrder } from '@jogakbo/contracts-orders';
import { CheckPaymentToken } from '@jogakbo/contracts-payments';
import { append, nothing, type UnitOfWork } from '@jogakbo/consistency';
import { Ask, Handles, RemoteFault } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { openOrder } from './open-orders.ts';
import { isDearer, order, calculateTotal } from './order.ts';

type Command = Body<typeof PlaceOrder>;
type Quotes = Reply<typeof QuoteProducts>;

@Controller()
export class PlaceOrderHandler {
  constructor(private readonly ask: Ask) {}

  /** Nothing is written before both questions are answered, and no connection is held while they are asked. */
  @Handles(PlaceOrder)
  async handle({ lines, expectedTotal, shipTo, payment }: Command, work: UnitOfWork) {
    const { memberId } = work.caller;
    const [quotes, isKnown] = await Promise.all([
      this.#quote(lines),
      payment ? this.#knows(payment.token) : false,
    ]);
    const priced = priceLines(lines, quotes);
    if (new Set(priced.map(({ price }) => price.currency)).size > 1)
      throw PlaceOrder.reject('mixed-currencies');
    const total = calculateTotal(priced);
    mustNotBeDearer({ lines, expectedTotal }, quotes, total);
    const isFree = total.amount === 0;
    if (!isFree) mustBePayable(payment, isKnown);

    const orderId = randomUUIDv7();
    await openOrder(work, orderId, memberId);
    const placed = { memberId, language: work.language, lines: priced, total };
    await append(work, order, orderId, nothing, [{ type: 'placed', ...placed, shipTo }]);
    work.publish(OrderPlaced({ orderId, ...placed, ...(!isFree && { payment }) }));
    return { orderId, status: 'placed' as const, total };
  }

  #quote(lines: Command['lines']): Promise<Quotes> {
    const earlier = lines.flatMap(({ productId, priceVersion: version }) =>
      version === undefined ? [] : [{ productId, version }],
    );
    const productIds = [...new Set(lines.map(({ productId }) => productId))];
    return this.ask(QuoteProducts, { productIds, ...(earlier.length > 0 && { earlier }) });
  }

  /** Where payments cannot be asked now, the saga finds out later: an unknown token then ends in a rejected order. */
  async #knows(token: string): Promise<boolean> {
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

/** One line per product, with the name and price of now. @throws Rejection `unknown-product` */
function priceLines(lines: Command['lines'], { items }: Quotes) {
  const quotes = new Map(items.map((item) => [item.productId, item]));
  const unknown = lines.flatMap(({ productId }, index) =>
    quotes.has(productId) ? [] : [{ path: `lines.${index}.productId`, message: 'not on sale' }],
  );
  if (unknown.length > 0)
    throw PlaceOrder.reject('unknown-product', 'some products are not on sale', unknown);
  return [...Map.groupBy(lines, ({ productId }) => productId)].map(([productId, same]) => {
    const { name, price } = quotes.get(productId)!;
    return { productId, name, price, quantity: same.reduce((sum, { quantity }) => sum + quantity, 0) };
  });
}

/** @throws Rejection `payment-required` or `unknown-payment-token` */
function mustBePayable(payment: Command['payment'], isKnown: boolean): void {
  if (!payment)
    throw PlaceOrder.reject('payment-required', 'the total is above 0', [
      { path: 'payment', message: 'required where the total is above 0' },
    ]);
  if (!isKnown)
    throw PlaceOrder.reject('unknown-payment-token', 'the payment provider does not know this token', [
      { path: 'payment.token', message: 'unknown' },
    ]);
}

/** @throws Rejection `price-changed` with the total of now, where the member has seen a lower price */
function mustNotBeDearer(
  { lines, expectedTotal }: Pick<Command, 'lines' | 'expectedTotal'>,
  { items, earlier }: Quotes,
  total: Money,
): void {
  const dearer = lines.flatMap(({ productId, priceVersion }, index) => {
    if (priceVersion === undefined) return [];
    const now = items.find((item) => item.productId === productId)!.price;
    const seen = earlier.find((one) => one.productId === productId && one.version === priceVersion)?.price;
    return isDearer(now, seen) ? [{ path: `lines.${index}.priceVersion`, message: 'the price rose' }] : [];
  });
  if (expectedTotal && isDearer(total, expectedTotal))
    dearer.push({ path: 'expectedTotal', message: 'the total is higher' });
  if (dearer.length > 0)
    throw PlaceOrder.reject('price-changed', 'a price rose since it was read', dearer).with({ total });
}
