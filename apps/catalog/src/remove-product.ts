import { matchesVersion, platformRejection, type Body } from '@jogakbo/contract';
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
    const product = await tx.findOne(Product, {
      where: { productId, removedAt: IsNull() },
      lock: { mode: 'pessimistic_write' },
    });
    if (!product) throw platformRejection('not-found', 'there is no such product');
    if (!matchesVersion(version, product.version))
      throw RemoveProduct.reject('version-changed', 'the product has changed: read it again and retry');
    await tx.update(Product, { productId }, { removedAt: new Date(), version: product.version + 1 });
    publish(ProductRemoved({ productId }));
  }
}
