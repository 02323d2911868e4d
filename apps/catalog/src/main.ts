import 'reflect-metadata';
import { serve } from '@jogakbo/service';
import { CatalogModule } from './catalog.module.ts';

await serve(CatalogModule);
