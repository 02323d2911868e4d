import { contractTests } from '@jogakbo/testing/contract-tests';
import { InventoryModule } from '../src/inventory.module.ts';

contractTests(InventoryModule);
