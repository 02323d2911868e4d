import 'reflect-metadata';
import { serve } from '@jogakbo/service';
import { IdentityModule } from './identity.module.ts';
import { serveOpenId } from './serve-openid.ts';

await serve(IdentityModule, { configure: serveOpenId });
