import { afterAll, beforeAll } from '@jest/globals';
import { accessMatrix } from './security/access-matrix.ts';
import { oneProcess } from './dense-mode/one-process.ts';
import { recovery } from './dense-mode/recovery.ts';
import { forgedTokens } from './security/forged-tokens.ts';
import { hostileConnections } from './security/hostile-connections.ts';
import { hostileInput } from './security/hostile-input.ts';
import { impostors } from './security/impostors.ts';
import { randomRequests } from './security/random-requests.ts';
import { refreshes } from './security/refreshes.ts';
import { secretsAtRest } from './security/secrets-at-rest.ts';
import { Store } from '../src/store.ts';

// All suites share one store, so each also tests it after the attacks of the previous ones.
const store = new Store();

// A long timeout, because a busy machine must not change the responses.
beforeAll(() => store.start(['--dense', '--no-seed'], { REQUEST_TIMEOUT: '30000' }), 180_000);
afterAll(() => store.remove());

oneProcess(store);
// Runs before the others, because it needs a recent sign-in of the operator.
secretsAtRest(store);
accessMatrix(store);
forgedTokens(store);
impostors(store);
hostileConnections(store);
hostileInput(store);
refreshes(store);
randomRequests(store);
recovery(store);
