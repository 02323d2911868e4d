import { afterAll, beforeAll, it } from '@jest/globals';
import { DocumentedStore } from '../src/documented-store.ts';

const store = new DocumentedStore();
beforeAll(() => store.make(), 120_000);
afterAll(() => store.remove());

// The Korean tutorial has the same steps: documentation.spec.ts.
it('the tutorial works from the first line to the last', () => store.follow('docs/tutorial.md'), 1_800_000);
