import { search } from '@jogakbo/contracts-search';
import { consistencyMigrations, eventStoreMigrations } from '@jogakbo/consistency';
import { Service } from '@jogakbo/service';
import { products } from './products.projection.ts';
import { SearchProductsHandler } from './search-products.ts';
import { SuggestProductsHandler } from './suggest-products.ts';

@Service({
  contract: search,
  migrations: [...consistencyMigrations, ...eventStoreMigrations],
  handlers: [SearchProductsHandler, SuggestProductsHandler],
  projections: [products],
})
export class SearchModule {}
