/** The part of jest's --json output that is counted. */
export interface JestResults {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests?: number;
  numRuntimeErrorTestSuites?: number;
  testResults: {
    name: string;
    status: string;
    message?: string;
    assertionResults: { status: string; fullName: string }[];
  }[];
}

export interface Tally {
  passed: number;
  failed: number;
  skipped: number;
  /** The names of the failed tests. */
  failures: string[];
}

export const emptyTally = (): Tally => ({ passed: 0, failed: 0, skipped: 0, failures: [] });

/** Counts a suite that did not run as one failed test. */
function tallyJestResults(results: JestResults, from: string): Tally {
  const failures = results.testResults.flatMap((suite) => {
    const failed = suite.assertionResults.filter(({ status }) => status === 'failed');
    if (failed.length) return failed.map(({ fullName }) => `${from}: ${fullName}`);
    return suite.status === 'failed' ? [`${from}: ${suite.name.replace(/^.*\//, '')} did not run`] : [];
  });
  return {
    passed: results.numPassedTests,
    failed: results.numFailedTests + (results.numRuntimeErrorTestSuites ?? 0),
    skipped: results.numPendingTests + (results.numTodoTests ?? 0),
    failures,
  };
}

/**
 * Counts the test cases of a task, or one test for a task without cases (types, lint). A failed task without failed cases
 * counts as one failed test.
 */
export function tallyTask(id: string, failed: boolean, results: JestResults | undefined): Tally {
  const tally = results ? tallyJestResults(results, id) : emptyTally();
  const hasCases = /(^|:)(test|integration|e2e)$/.test(id);
  if (failed && tally.failed === 0) return { ...tally, failed: 1, failures: [id] };
  return hasCases ? tally : { ...emptyTally(), passed: failed ? 0 : 1 };
}

export function sumTallies(tallies: readonly Tally[]): Tally {
  const total = emptyTally();
  for (const { passed, failed, skipped, failures } of tallies) {
    total.passed += passed;
    total.failed += failed;
    total.skipped += skipped;
    total.failures.push(...failures);
  }
  return total;
}

export const formatTotals = ({ passed, failed, skipped }: Tally): string =>
  `${passed} passed, ${failed} failed, ${skipped} skipped`;
