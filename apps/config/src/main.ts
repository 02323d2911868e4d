import 'reflect-metadata';
import { serve } from '@jogakbo/service';
import { ConfigModule } from './config.module.ts';

await serve(ConfigModule);
