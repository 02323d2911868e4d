import { describe, expect, it } from '@jest/globals';
import { type JestResults, lastLine, nothing, sum, tallyOfTask } from './test-results.ts';

const results: JestResults = {
  ...{
    numPassedTests: 3,
    numFailedTests: 1,
    numPendingTests: 2,
    numTodoTests: 1,
    numRuntimeErrorTestSuites: 1,
  },
  testResults: [
    {
      ...{ name: '/somewhere/a.spec.ts', status: 'failed' },
      assertionResults: [
        { status: 'passed', fullName: 'a works' },
        { status: 'failed', fullName: 'a breaks' },
      ],
    },
    { name: '/somewhere/b.spec.ts', status: 'failed', message: 'cannot be read', assertionResults: [] },
  ],
};

describe('tallyOfTask', () => {
  it('counts cases, and a suite that did not run as one failure', () => {
    expect(tallyOfTask('orders:test', true, results)).toEqual({
      ...{ passed: 3, failed: 2, skipped: 3 },
      failures: ['orders:test: a breaks', 'orders:test: b.spec.ts did not run'],
    });
  });

  it('counts a check without cases as one', () => {
    expect(tallyOfTask('orders:lint', false, undefined)).toEqual({ ...nothing(), passed: 1 });
    expect(tallyOfTask('orders:lint', true, undefined)).toEqual({
      ...nothing(),
      failed: 1,
      failures: ['orders:lint'],
    });
  });

  it('counts a failure that no case explains', () => {
    const fine = { ...results, numFailedTests: 0, numRuntimeErrorTestSuites: 0, testResults: [] };
    expect(tallyOfTask('orders:integration', true, fine)).toMatchObject({ passed: 3, failed: 1 });
    expect(tallyOfTask('orders:test', true, undefined)).toMatchObject({ passed: 0, failed: 1 });
  });

  it('counts nothing for a project without specs', () => {
    expect(tallyOfTask('delivery:test', false, undefined)).toEqual(nothing());
  });
});

describe('lastLine', () => {
  it('is plain', () => {
    const total = sum([tallyOfTask('a:lint', false, undefined), tallyOfTask('b:test', true, results)]);
    expect(lastLine(total)).toBe('4 passed, 2 failed, 3 skipped');
  });
});
