import { Id, platformRejection, toPage, type Body } from '@jogakbo/contract';
import { GetProduct, ListProducts, QuoteProducts } from '@jogakbo/contracts-catalog';
import { Handles, type MessageContext } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource, IsNull, MoreThan } from 'typeorm';
import { findEarlierPrices } from './price-history.ts';
import { Product, toPublicProduct } from './product.ts';

interface Quote {
  productId: string;
  name: string;
  amount: string;
  currency: string;
  version: number;
}

@Controller()
export class ReadProductsHandler {
  constructor(private readonly dataSource: DataSource) {}

  @Handles(GetProduct)
  async get({ productId }: Body<typeof GetProduct>, { language }: MessageContext) {
    const product = await this.dataSource.manager.findOneBy(Product, { productId, removedAt: IsNull() });
    if (!product) throw platformRejection('not-found', 'there is no such product');
    return toPublicProduct(product, language);
  }

  /** Ids rise with time, so the last one is the cursor. */
  @Handles(ListProducts)
  async list({ category, limit, cursor }: Body<typeof ListProducts>, { language }: MessageContext) {
    if (cursor && !Id.safeParse(cursor).success) throw ListProducts.reject('unknown-cursor');
    const products = await this.dataSource.manager.find(Product, {
      where: {
        removedAt: IsNull(),
        ...(category && { category }),
        ...(cursor && { productId: MoreThan(cursor) }),
      },
      order: { productId: 'ASC' },
      take: limit + 1,
    });
    const { items, nextCursor } = toPage(products, limit, ({ productId }) => productId);
    return { items: items.map((product) => toPublicProduct(product, language)), nextCursor };
  }

  @Handles(QuoteProducts)
  async quote({ productIds, earlier = [] }: Body<typeof QuoteProducts>, { language }: MessageContext) {
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
