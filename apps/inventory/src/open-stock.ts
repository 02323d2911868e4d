import type { Body } from '@jogakbo/contract';
import { ProductAdded } from '@jogakbo/contracts-catalog';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';

/** Stock rows outlive their product: orders and returns still refer to removed products. */
@Controller()
export class OpenStockHandler {
  @Handles(ProductAdded)
  async handle({ productId }: Body<typeof ProductAdded>, { tx }: UnitOfWork) {
    await tx.query('INSERT INTO stock (product_id) VALUES ($1) ON CONFLICT DO NOTHING', [productId]);
  }
}
