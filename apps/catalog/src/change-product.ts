import { matchesVersion, platformRejection, type Body } from '@jogakbo/contract';
import { ChangeProduct, ProductChanged } from '@jogakbo/contracts-catalog';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { IsNull } from 'typeorm';
import { recordPrice } from './price-history.ts';
import { Product, toProductEvent, toPublicProduct, withText, withTranslations } from './product.ts';

@Controller()
export class ChangeProductHandler {
  @Handles(ChangeProduct)
  async handle(command: Body<typeof ChangeProduct>, work: UnitOfWork) {
    const { tx, publish, language } = work;
    const { productId, version, price, translations = {}, name, description, ...changes } = command;
    // Locked until the commit: of two changes to one version, the second sees the new version.
    const product = await tx.findOne(Product, {
      where: { productId, removedAt: IsNull() },
      lock: { mode: 'pessimistic_write' },
    });
    if (!product) throw platformRejection('not-found', 'there is no such product');
    if (!matchesVersion(version, product.version))
      throw ChangeProduct.reject('version-changed', 'the product has changed: read it again and retry');
    const text = { ...(name !== undefined && { name }), ...(description !== undefined && { description }) };
    const translated = withText(withTranslations(product, translations), language, text);
    const changed: Product = { ...translated, ...changes, ...price, version: product.version + 1 };
    await tx.update(Product, { productId }, changed);
    if (changed.amount !== product.amount || changed.currency !== product.currency)
      recordPrice(work, changed);
    publish(ProductChanged(toProductEvent(changed)));
    return toPublicProduct(changed, language);
  }
}
