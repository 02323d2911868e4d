import type { Body } from '@jogakbo/contract';
import { QuoteProducts } from '@jogakbo/contracts-catalog';
import { Handles, type MessageContext } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { findEarlierPrices } from './price-history.ts';

interface Quote {
  productId: string;
  name: string;
  amount: string;
  currency: string;
  version: number;
}

@Controller()
export class QuoteProductsHandler {
  constructor(private readonly dataSource: DataSource) {}

  @Handles(QuoteProducts)
  async handle({ productIds, earlier = [] }: Body<typeof QuoteProducts>, { language }: MessageContext) {
    // Every order calls this, so it reads no images and descriptions.
    const [quotes, prices] = await Promise.all([
      this.dataSource.query<Quote[]>(
        `SELECT product_id AS "productId", coalesce(translations->$2->>'name', name) AS name, amount, currency, version
         FROM product WHERE product_id = ANY($1) AND removed_at IS NULL`,
        [productIds, language],
      ),
      findEarlierPrices(this.dataSource, earlier),
    ]);
    return {
      earlier: prices,
      items: quotes.map(({ amount, currency, ...quote }) => ({
        ...quote,
        price: { amount: Number(amount), currency },
      })),
    };
  }
}
