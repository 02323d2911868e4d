import type { Body } from '@jogakbo/contract';
import { ProductAdded, ProductChanged, ProductRemoved } from '@jogakbo/contracts-catalog';
import { StockChanged } from '@jogakbo/contracts-inventory';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { on } from './products.projection.ts';

const [[, keepAdded], [, keepChanged], [, remove], [, keepStock]] = on;

@Controller()
export class KeepProductsHandler {
  @Handles(ProductAdded)
  added(product: Body<typeof ProductAdded>, { tx }: UnitOfWork): Promise<void> {
    return keepAdded(tx, product);
  }

  @Handles(ProductChanged)
  changed(product: Body<typeof ProductChanged>, { tx }: UnitOfWork): Promise<void> {
    return keepChanged(tx, product);
  }

  @Handles(ProductRemoved)
  removed(product: Body<typeof ProductRemoved>, { tx }: UnitOfWork): Promise<void> {
    return remove(tx, product);
  }

  @Handles(StockChanged)
  stock(stock: Body<typeof StockChanged>, { tx }: UnitOfWork): Promise<void> {
    return keepStock(tx, stock);
  }
}
