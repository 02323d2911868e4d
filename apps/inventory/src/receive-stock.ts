import { platformRejection, type Body } from '@jogakbo/contract';
import { ReceiveStock } from '@jogakbo/contracts-inventory';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { lockStock, moveStock } from './stock-rows.ts';

@Controller()
export class ReceiveStockHandler {
  @Handles(ReceiveStock)
  async handle(line: Body<typeof ReceiveStock>, work: UnitOfWork) {
    const { productId, quantity } = line;
    const stock = await lockStock(work.tx, [line]);
    const before = stock.get(productId);
    if (!before) throw platformRejection('not-found', 'there is no such product');
    moveStock(work, stock, [line], 'receive');
    return { productId, available: before.onHand + quantity };
  }
}
