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

// All suites share one store, so each also tests it after the attacks of the previous ones.
const store = new Store();

// A long timeout, because a busy machine must not change the responses.
beforeAll(() => store.start([], { REQUEST_TIMEOUT: '30000' }), 180_000);
afterAll(() => store.remove());

// Runs first, because it needs a recent sign-in of the operator.
secretsAtRest(store);
accessMatrix(store);
forgedTokens(store);
impostors(store);
hostileConnections(store);
hostileInput(store);
refreshes(store);
randomRequests(store);
