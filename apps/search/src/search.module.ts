import { search } from '@jogakbo/contracts-search';
import { consistencyMigrations, EventStore1700000000500 } from '@jogakbo/consistency';
import { Service } from '@jogakbo/service';
import { products } from './products.projection.ts';
import { SearchProductsHandler } from './search-products.ts';
import { SuggestProductsHandler } from './suggest-products.ts';

@Service({
  contract: search,
  migrations: [...consistencyMigrations, EventStore1700000000500],
  handlers: [SearchProductsHandler, SuggestProductsHandler],
  projections: [products],
})
export class SearchModule {}
