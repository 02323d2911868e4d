import { describe, expect, it } from '@jest/globals';
import type { Access } from '@jogakbo/contract';
import { getPriority } from './load.ts';
import type { Route } from './routes.ts';

const route = (access: Access, priority?: 'low' | 'normal' | 'high') =>
  ({ access, contract: { priority } }) as Pick<Route, 'access' | 'contract'> as Route;

describe('the priority of a request', () => {
  it.each([
    ['public', 'low', 'low'],
    ['public', undefined, 'normal'],
    ['member', 'high', 'high'],
    ['owner', 'normal', 'normal'],
    ['taster', undefined, 'normal'],
    ['operator', undefined, 'operator'],
    ['operator', 'low', 'operator'],
  ] as const)('%s %s is %s', (access, declared, priority) => {
    expect(getPriority(route(access, declared))).toBe(priority);
  });
});
