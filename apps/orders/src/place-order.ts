import { randomUUIDv7 } from 'node:crypto';
import type { Body } from '@jogakbo/contract';
import { QuoteProducts } from '@jogakbo/contracts-catalog';
import { OrderPlaced, PlaceOrder } from '@jogakbo/contracts-orders';
import { CheckPaymentToken } from '@jogakbo/contracts-payments';
import { append, nothing, type UnitOfWork } from '@jogakbo/consistency';
import { Ask, Handles, RemoteFault } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { order, totalOf } from './order.ts';

type Command = Body<typeof PlaceOrder>;

@Controller()
export class PlaceOrderHandler {
  constructor(private readonly ask: Ask) {}

  /** Nothing is written before both questions are answered, and no connection is held while they are asked. */
  @Handles(PlaceOrder)
  async handle({ lines, shipTo, payment }: Command, work: UnitOfWork) {
    const { memberId } = work.caller;
    const [priced] = await Promise.all([this.#price(lines), this.#mustKnow(payment.token)]);
    if (new Set(priced.map(({ price }) => price.currency)).size > 1)
      throw PlaceOrder.reject('mixed-currencies');

    const orderId = randomUUIDv7();
    const placed = { memberId, language: work.language, lines: priced, total: totalOf(priced) };
    await append(work, order, orderId, nothing, [{ type: 'placed', ...placed, shipTo }]);
    work.publish(OrderPlaced({ orderId, ...placed, payment }));
    return { orderId, status: 'placed' as const, total: placed.total };
  }

  /** One line per product, with the name and price of now. */
  async #price(lines: Command['lines']) {
    const productIds = [...new Set(lines.map(({ productId }) => productId))];
    const { items } = await this.ask(QuoteProducts, { productIds });
    const quotes = new Map(items.map((item) => [item.productId, item]));
    const unknown = lines.flatMap(({ productId }, index) =>
      quotes.has(productId) ? [] : [{ path: `lines.${index}.productId`, message: 'not on sale' }],
    );
    if (unknown.length > 0)
      throw PlaceOrder.reject('unknown-product', 'some products are not on sale', unknown);
    return productIds.map((productId) => {
      const { name, price } = quotes.get(productId)!;
      const quantity = lines.reduce(
        (sum, line) => (line.productId === productId ? sum + line.quantity : sum),
        0,
      );
      return { productId, name, price, quantity };
    });
  }

  /** Where payments cannot be asked now, the saga finds out later: an unknown token then ends in a rejected order. */
  async #mustKnow(token: string): Promise<void> {
    const answer = await this.ask(CheckPaymentToken, { token }, { timeout: 1_000 }).catch(
      (error: unknown) => {
        if (error instanceof RemoteFault) return { known: true };
        throw error;
      },
    );
    if (answer.known) return;
    throw PlaceOrder.reject('unknown-payment-token', 'the payment provider does not know this token', [
      { path: 'payment.token', message: 'unknown' },
    ]);
  }
}
