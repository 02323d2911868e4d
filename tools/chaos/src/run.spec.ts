import { expect, it } from '@jest/globals';
import { toExitCode, type Result, type InjectedFault } from './run.ts';

const struck = (hit: boolean) => ({ hit }) as InjectedFault;
const violation = {} as Result['violations'][number];

it.each([
  ['a run without violations in which a fault struck', [], [struck(false), struck(true)], ['kill'], 0],
  ['a run with violations', [violation], [struck(true)], ['kill'], 1],
  ['a run in which no fault was due', [], [], ['kill'], 1],
  ['a run in which no fault struck', [], [struck(false)], ['kill'], 1],
  ['a run that was to have no faults', [], [], [], 0],
] as const)('the exit code of %s', (_what, violations, all, faults, code) =>
  expect(toExitCode({ violations: [...violations], struck: [...all] }, { faults })).toBe(code),
);
