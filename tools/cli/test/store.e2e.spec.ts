import { afterAll, beforeAll } from '@jest/globals';
import { killedService } from './killed-service.ts';
import { operators } from './operators.ts';
import { purchase } from './purchase.ts';
import { Store } from './store.ts';
import { trust } from './trust.ts';

// All suites share one store, because its start takes longer than most of them.
const store = new Store();

beforeAll(() => store.start(), 180_000);
afterAll(() => store.remove());

purchase(store);
killedService(store);
operators(store);
trust(store);
