import 'reflect-metadata';
import { serve } from '@jogakbo/service';
import { OrdersModule } from './orders.module.ts';

await serve(OrdersModule);
