import { platformRejection, type Body } from '@jogakbo/contract';
import { ChangeProduct, ProductChanged } from '@jogakbo/contracts-catalog';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { IsNull } from 'typeorm';
import { recordPrice } from './price-history.ts';
import { inFull, inLanguage, Product, withText, withTranslations } from './product.ts';

@Controller()
export class ChangeProductHandler {
  @Handles(ChangeProduct)
  async handle(command: Body<typeof ChangeProduct>, work: UnitOfWork) {
    const { tx, publish, language } = work;
    const { productId, version, price, translations = {}, name, description, ...changes } = command;
    const product = await tx.findOneBy(Product, { productId, removedAt: IsNull() });
    if (!product) throw platformRejection('not-found', 'there is no such product');
    const text = { ...(name !== undefined && { name }), ...(description !== undefined && { description }) };
    const translated = withText(withTranslations(product, translations), language, text);
    const changed: Product = { ...translated, ...changes, ...price, version: version + 1 };
    // The version is part of the condition: of two who saw the same one, the second changes nothing.
    const { affected } = await tx.update(Product, { productId, version, removedAt: IsNull() }, changed);
    if (affected !== 1)
      throw ChangeProduct.reject('version-changed', 'somebody else changed it: read it again');
    if (changed.amount !== product.amount || changed.currency !== product.currency)
      recordPrice(work, changed);
    publish(ProductChanged(inFull(changed)));
    return inLanguage(changed, language);
  }
}
