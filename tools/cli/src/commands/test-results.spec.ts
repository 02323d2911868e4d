import { describe, expect, it } from '@jest/globals';
import { type JestResults, formatTotals, emptyTally, sumTallies, tallyTask } from './test-results.ts';

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

describe('tallyTask', () => {
  it('counts test cases, and one failure for a suite that did not run', () => {
    expect(tallyTask('loans:test', true, results)).toEqual({
      ...{ passed: 3, failed: 2, skipped: 3 },
      failures: ['loans:test: a breaks', 'loans:test: b.spec.ts did not run'],
    });
  });

  it('counts a task without cases as one test', () => {
    expect(tallyTask('loans:lint', false, undefined)).toEqual({ ...emptyTally(), passed: 1 });
    expect(tallyTask('loans:lint', true, undefined)).toEqual({
      ...emptyTally(),
      failed: 1,
      failures: ['loans:lint'],
    });
  });

  it('counts a failed task without failed cases as one failure', () => {
    const fine = { ...results, numFailedTests: 0, numRuntimeErrorTestSuites: 0, testResults: [] };
    expect(tallyTask('loans:integration', true, fine)).toMatchObject({ passed: 3, failed: 1 });
    expect(tallyTask('loans:test', true, undefined)).toMatchObject({ passed: 0, failed: 1 });
  });

  it('counts nothing for a project without specs', () => {
    expect(tallyTask('delivery:test', false, undefined)).toEqual(emptyTally());
  });
});

describe('formatTotals', () => {
  it('has the totals', () => {
    const total = sumTallies([tallyTask('a:lint', false, undefined), tallyTask('b:test', true, results)]);
    expect(formatTotals(total)).toBe('4 passed, 2 failed, 3 skipped');
  });
});
