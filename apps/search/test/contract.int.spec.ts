import { contractTests } from '@jogakbo/testing/contract-tests';
import { SearchModule } from '../src/search.module.ts';

contractTests(SearchModule);
