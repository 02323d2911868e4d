import { randomUUIDv7 } from 'node:crypto';
import type { Body } from '@jogakbo/contract';
import { AddProduct, ProductAdded } from '@jogakbo/contracts-catalog';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { createPatchwork } from './patchwork.ts';
import { recordPrice } from './price-history.ts';
import { Product, toProductEvent, toPublicProduct } from './product.ts';

@Controller()
export class AddProductHandler {
  @Handles(AddProduct)
  async handle(command: Body<typeof AddProduct>, work: UnitOfWork) {
    const { tx, publish, language } = work;
    const { price, translations = {}, imageUrl = createPatchwork(command.sku), ...rest } = command;
    const product: Product = {
      ...rest,
      ...price,
      translations,
      imageUrl,
      productId: randomUUIDv7(),
      version: 1,
      removedAt: null,
    };
    const { raw } = await tx
      .createQueryBuilder()
      .insert()
      .into(Product)
      .values(product)
      .orIgnore()
      .returning('product_id')
      .execute();
    if ((raw as unknown[]).length === 0) {
      throw AddProduct.reject('sku-taken', `another product has the SKU ${command.sku}`, [
        { path: 'sku', message: 'taken' },
      ]);
    }
    recordPrice(work, product);
    publish(ProductAdded(toProductEvent(product)));
    return toPublicProduct(product, language);
  }
}
