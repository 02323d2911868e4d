import { search } from '@jogakbo/contracts-search';
import { Consistency1700000000000 } from '@jogakbo/consistency';
import { Service } from '@jogakbo/service';
import { Products1700000001000 } from '../migrations/1700000001000-products.ts';
import { KeepProductsHandler } from './keep-products.ts';
import { SearchProductsHandler } from './search-products.ts';
import { SuggestProductsHandler } from './suggest-products.ts';

@Service({
  contract: search,
  migrations: [Consistency1700000000000, Products1700000001000],
  handlers: [KeepProductsHandler, SearchProductsHandler, SuggestProductsHandler],
})
export class SearchModule {}
