import { describe, expect, it } from '@jest/globals';
import type { Access } from '@jogakbo/contract';
import { getLoadClass } from './load-class.ts';
import type { Route } from './routes.ts';

const route = (access: Access, priority?: 'low' | 'normal' | 'high') =>
  ({ access, contract: { priority } }) as Pick<Route, 'access' | 'contract'> as Route;

describe('the load class of a request', () => {
  it.each([
    ['public', 'low', 'low'],
    ['public', undefined, 'normal'],
    ['member', 'high', 'high'],
    ['owner', 'normal', 'normal'],
    ['taster', undefined, 'normal'],
    ['operator', undefined, 'operator'],
    ['operator', 'low', 'operator'],
  ] as const)('%s %s is %s', (access, declared, loadClass) => {
    expect(getLoadClass(route(access, declared))).toBe(loadClass);
  });
});
