import { afterAll, beforeAll } from '@jest/globals';
import { accessMatrix } from './access-matrix.ts';
import { forgedTokens } from './forged-tokens.ts';
import { hostileConnections } from './hostile-connections.ts';
import { hostileInput } from './hostile-input.ts';
import { impostors } from './impostors.ts';
import { randomRequests } from './random-requests.ts';
import { refreshes } from './refreshes.ts';
import { secretsAtRest } from './secrets-at-rest.ts';
import { Store } from './store.ts';

// One store for all of them, each of which finds it as strangers left it.
const store = new Store();

// Patient with its services: here it matters what they answer, and not how fast a busy machine does.
beforeAll(() => store.start([], { REQUEST_TIMEOUT: '30000' }), 180_000);
afterAll(() => store.remove());

// First, while the sign-in of the operator is recent.
secretsAtRest(store);
accessMatrix(store);
forgedTokens(store);
impostors(store);
hostileConnections(store);
hostileInput(store);
refreshes(store);
randomRequests(store);
