import { afterAll, beforeAll } from '@jest/globals';
import { contracts } from './operations/contracts.ts';
import { settings } from './operations/settings.ts';
import { Store } from '../src/store.ts';

// All suites share one store, because its start takes longer than most of them.
const store = new Store();

beforeAll(() => {
  const services = 'config,gateway,identity,catalog,payments,registry';
  return store.start(['--no-seed', '--only', services]);
}, 180_000);
afterAll(() => store.remove());

// The first suites need a recent sign-in of the operator.
settings(store);
contracts(store);
