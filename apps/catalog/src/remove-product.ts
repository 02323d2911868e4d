import { platformRejection, type Body } from '@jogakbo/contract';
import { ProductRemoved, RemoveProduct } from '@jogakbo/contracts-catalog';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { IsNull } from 'typeorm';
import { Product } from './product.ts';

@Controller()
export class RemoveProductHandler {
  @Handles(RemoveProduct)
  async handle({ productId, version }: Body<typeof RemoveProduct>, { tx, publish }: UnitOfWork) {
    const onSale = { productId, removedAt: IsNull() };
    if (!(await tx.existsBy(Product, onSale)))
      throw platformRejection('not-found', 'there is no such product');
    const { affected } = await tx.update(
      Product,
      { ...onSale, version },
      { removedAt: new Date(), version: version + 1 },
    );
    if (affected !== 1)
      throw RemoveProduct.reject('version-changed', 'somebody else changed it: read it again');
    publish(ProductRemoved({ productId }));
  }
}
