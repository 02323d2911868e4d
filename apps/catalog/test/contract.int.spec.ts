import { contractTests } from '@jogakbo/testing/contract-tests';
import { CatalogModule } from '../src/catalog.module.ts';

contractTests(CatalogModule);
