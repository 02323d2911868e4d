import { describe, expect, it } from '@jest/globals';
import type { Access } from '@jogakbo/contract';
import { getPriority } from './load.ts';
import type { Route } from './routes.ts';

const route = (access: Access, kind: 'query' | 'command') =>
  ({ access, contract: { kind } }) as Pick<Route, 'access' | 'contract'> as Route;

describe('the priority of a request', () => {
  it.each([
    ['public', 'query', 'browsing'],
    ['public', 'command', 'reading'],
    ['member', 'query', 'reading'],
    ['owner', 'query', 'reading'],
    ['member', 'command', 'buying'],
    ['owner', 'command', 'buying'],
    ['merchant', 'command', 'buying'],
    ['operator', 'query', 'operating'],
    ['operator', 'command', 'operating'],
  ] as const)('%s %s is %s', (access, kind, priority) => {
    expect(getPriority(route(access, kind))).toBe(priority);
  });
});
