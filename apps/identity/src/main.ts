import 'reflect-metadata';
import { serve } from '@jogakbo/service';
import { IdentityModule } from './identity.module.ts';

await serve(IdentityModule);
