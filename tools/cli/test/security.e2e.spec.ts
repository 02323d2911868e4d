import { afterAll, beforeAll } from '@jest/globals';
import { accessMatrix } from './access-matrix.ts';
import { forgedTokens } from './forged-tokens.ts';
import { hostileRequests } from './hostile-requests.ts';
import { randomRequests } from './random-requests.ts';
import { refreshes } from './refreshes.ts';
import { Store } from './store.ts';

// One store for all of them, each of which finds it as strangers left it.
const store = new Store();

// Patient with its services: here it matters what they answer, and not how fast a busy machine does.
beforeAll(() => store.start([], { REQUEST_TIMEOUT: '30000' }), 180_000);
afterAll(() => store.remove());

accessMatrix(store);
forgedTokens(store);
hostileRequests(store);
refreshes(store);
randomRequests(store);
