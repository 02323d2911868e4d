/** What jest writes with --json, as far as it is counted here. */
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
  /** The names of what failed. */
  failures: string[];
}

export const nothing = (): Tally => ({ passed: 0, failed: 0, skipped: 0, failures: [] });

/** A suite that did not even run counts as one failed test. */
function tallyOfJest(results: JestResults, from: string): Tally {
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
 * A check without test cases (types, lint) counts as one test; one with them counts as they do,
 * and as one failed test when it failed although none of them did.
 */
export function tallyOfTask(id: string, failed: boolean, results: JestResults | undefined): Tally {
  const tally = results ? tallyOfJest(results, id) : nothing();
  const hasCases = /(^|:)(test|integration|e2e)$/.test(id);
  if (failed && tally.failed === 0) return { ...tally, failed: 1, failures: [id] };
  return hasCases ? tally : { ...nothing(), passed: failed ? 0 : 1 };
}

export function sum(tallies: readonly Tally[]): Tally {
  const total = nothing();
  for (const { passed, failed, skipped, failures } of tallies) {
    total.passed += passed;
    total.failed += failed;
    total.skipped += skipped;
    total.failures.push(...failures);
  }
  return total;
}

export const lastLine = ({ passed, failed, skipped }: Tally): string =>
  `${passed} passed, ${failed} failed, ${skipped} skipped`;
