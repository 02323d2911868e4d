import { afterAll, beforeAll } from '@jest/globals';
import { invalidPurchase } from './store/invalid-purchase.ts';
import { killedService } from './store/killed-service.ts';
import { operators } from './store/operators.ts';
import { operatorsViews } from './store/operators-views.ts';
import { purchase } from './store/purchase.ts';
import { Store } from '../src/store.ts';
import { trust } from './store/trust.ts';

// All suites share one store, because its start takes longer than most of them.
const store = new Store();

beforeAll(() => store.start(), 180_000);
afterAll(() => store.remove());

purchase(store);
invalidPurchase(store);
killedService(store);
operators(store);
operatorsViews(store);
trust(store);
