import 'reflect-metadata';
import { serve } from '@jogakbo/service';
import { PaymentsModule } from './payments.module.ts';

await serve(PaymentsModule);
