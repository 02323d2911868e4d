import 'reflect-metadata';
import { serve } from '@jogakbo/service';
import { configure, httpOptions } from './http-listener.ts';
import { GatewayModule } from './gateway.module.ts';

await serve(GatewayModule, { fastify: httpOptions, configure });
