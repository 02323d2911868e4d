import { isVersion, platformRejection, type Body } from '@jogakbo/contract';
import { ChangeProduct, ProductChanged } from '@jogakbo/contracts-catalog';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { IsNull } from 'typeorm';
import { inFull, inLanguage, Product } from './product.ts';

@Controller()
export class ChangeProductHandler {
  @Handles(ChangeProduct)
  async handle(command: Body<typeof ChangeProduct>, { tx, publish, language }: UnitOfWork) {
    const { productId, version, price, translations, ...changes } = command;
    // Held until the commit: of two that want the same version, the second sees that it has changed.
    const product = await tx.findOne(Product, {
      where: { productId, removedAt: IsNull() },
      lock: { mode: 'pessimistic_write' },
    });
    if (!product) throw platformRejection('not-found', 'there is no such product');
    if (!isVersion(version, product.version))
      throw ChangeProduct.reject('version-changed', 'somebody else changed it: read it again');
    const changed: Product = {
      ...product,
      ...changes,
      ...price,
      translations: { ...product.translations, ...translations },
      version: product.version + 1,
    };
    await tx.update(Product, { productId }, changed);
    publish(ProductChanged(inFull(changed)));
    return inLanguage(changed, language);
  }
}
