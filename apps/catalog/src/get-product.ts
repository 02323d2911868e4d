import { platformRejection, type Body } from '@jogakbo/contract';
import { GetProduct } from '@jogakbo/contracts-catalog';
import { Handles, type MessageContext } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource, IsNull } from 'typeorm';
import { Product, toPublicProduct } from './product.ts';

@Controller()
export class GetProductHandler {
  constructor(private readonly dataSource: DataSource) {}

  @Handles(GetProduct)
  async handle({ productId }: Body<typeof GetProduct>, { language }: MessageContext) {
    const product = await this.dataSource.manager.findOneBy(Product, { productId, removedAt: IsNull() });
    if (!product) throw platformRejection('not-found', 'there is no such product');
    return toPublicProduct(product, language);
  }
}
