import { afterAll, beforeAll } from '@jest/globals';
import { killedService } from './store/killed-service.ts';
import { operators } from './store/operators.ts';
import { purchase } from './store/purchase.ts';
import { Store } from '../src/store.ts';
import { trust } from './store/trust.ts';

// All suites share one store, because its start takes longer than most of them.
const store = new Store();

beforeAll(() => store.start(), 180_000);
afterAll(() => store.remove());

purchase(store);
killedService(store);
operators(store);
trust(store);
