import { contractTests } from '@jogakbo/testing/contract-tests';
import { configure, httpOptions } from '../src/http.ts';
import { RegistryModule } from '../src/registry.module.ts';

contractTests(RegistryModule, { start: { fastify: httpOptions, configure } });
