import 'reflect-metadata';
import { serve } from '@jogakbo/service';
import { SearchModule } from './search.module.ts';

await serve(SearchModule);
