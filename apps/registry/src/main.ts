import 'reflect-metadata';
import { serve } from '@jogakbo/service';
import { configure, httpOptions } from './http.ts';
import { RegistryModule } from './registry.module.ts';

await serve(RegistryModule, { fastify: httpOptions, configure });
