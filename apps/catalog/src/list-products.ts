import { Id, toPage, type Body } from '@jogakbo/contract';
import { ListProducts } from '@jogakbo/contracts-catalog';
import { Handles, type MessageContext } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource, IsNull, MoreThan } from 'typeorm';
import { Product, toPublicProduct } from './product.ts';

@Controller()
export class ListProductsHandler {
  constructor(private readonly dataSource: DataSource) {}

  /** Ids rise with time, so the last one is the cursor. */
  @Handles(ListProducts)
  async handle({ category, limit, cursor }: Body<typeof ListProducts>, { language }: MessageContext) {
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
}
