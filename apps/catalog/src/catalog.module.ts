import { catalog } from '@jogakbo/contracts-catalog';
import { consistencyMigrations } from '@jogakbo/consistency';
import { Service } from '@jogakbo/service';
import { Products1700000001000 } from '../migrations/1700000001000-products.ts';
import { ProductPrices1700000001100 } from '../migrations/1700000001100-product-prices.ts';
import { UpperCaseSkus1700000001200 } from '../migrations/1700000001200-upper-case-skus.ts';
import { AddProductHandler } from './add-product.ts';
import { ChangeProductHandler } from './change-product.ts';
import { FindProductsHandler } from './find-products.ts';
import { GetProductHandler } from './get-product.ts';
import { ListProductsHandler } from './list-products.ts';
import { Product } from './product.ts';
import { QuoteProductsHandler } from './quote-products.ts';
import { RemoveProductHandler } from './remove-product.ts';

@Service({
  contract: catalog,
  migrations: [
    ...consistencyMigrations,
    Products1700000001000,
    ProductPrices1700000001100,
    UpperCaseSkus1700000001200,
  ],
  entities: [Product],
  handlers: [
    GetProductHandler,
    ListProductsHandler,
    QuoteProductsHandler,
    FindProductsHandler,
    AddProductHandler,
    ChangeProductHandler,
    RemoveProductHandler,
  ],
})
export class CatalogModule {}
