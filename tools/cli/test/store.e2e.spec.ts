import { afterAll, beforeAll } from '@jest/globals';
import { killedService } from './killed-service.ts';
import { operators } from './operators.ts';
import { purchase } from './purchase.ts';
import { Store } from './store.ts';
import { trust } from './trust.ts';

// One store for all of them: to start one takes longer than most of what is asked of it.
const store = new Store();

beforeAll(() => store.start(), 180_000);
afterAll(() => store.remove());

purchase(store);
killedService(store);
operators(store);
trust(store);
