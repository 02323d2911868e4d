import { platformRejection, type Body } from '@jogakbo/contract';
import { GetStock } from '@jogakbo/contracts-inventory';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';

@Controller()
export class GetStockHandler {
  constructor(private readonly dataSource: DataSource) {}

  @Handles(GetStock)
  async handle({ productId }: Body<typeof GetStock>) {
    const [stock] = (await this.dataSource.query('SELECT on_hand FROM stock WHERE product_id = $1', [
      productId,
    ])) as { on_hand: string }[];
    if (!stock) throw platformRejection('not-found', 'there is no such product');
    return { productId, available: Number(stock.on_hand) };
  }
}
