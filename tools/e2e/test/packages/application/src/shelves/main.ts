import 'reflect-metadata';
import { serve } from '@jogakbo/service';
import { ShelvesModule } from './shelves.module.js';

await serve(ShelvesModule);
