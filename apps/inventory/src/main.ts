import 'reflect-metadata';
import { serve } from '@jogakbo/service';
import { InventoryModule } from './inventory.module.ts';

await serve(InventoryModule);
