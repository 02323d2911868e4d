import { globSync } from 'node:fs';
import { afterAll, beforeAll, it } from '@jest/globals';
import { root } from '@jogakbo/cli/src/workspace.ts';
import { DocumentedStore } from '../src/documented-store.ts';

const store = new DocumentedStore();
beforeAll(() => store.make(), 120_000);
afterAll(() => store.remove());

// The first one starts the store that all use.
const first = ['README.md', 'docs/how-to/run-the-store.md'];
const others = globSync('docs/how-to/*.md', { cwd: root }).sort();
const pages = [...new Set([...first, ...others])];

it.each(pages)('the commands of %s work', (path) => store.follow(path), 1_800_000);
