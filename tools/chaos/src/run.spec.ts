import { expect, it } from '@jest/globals';
import { toExitCode, type Result, type InjectedFault } from './run.ts';

const injected = (hit: boolean) => ({ hit }) as InjectedFault;
const violation = {} as Result['violations'][number];

it.each([
  [
    'a run without violations in which a fault took effect',
    [],
    [injected(false), injected(true)],
    ['kill'],
    0,
  ],
  ['a run with violations', [violation], [injected(true)], ['kill'], 1],
  ['a run in which no fault was scheduled', [], [], ['kill'], 1],
  ['a run in which no fault took effect', [], [injected(false)], ['kill'], 1],
  ['a run without requested faults', [], [], [], 0],
] as const)('the exit code of %s', (_what, violations, all, faults, code) =>
  expect(toExitCode({ violations: [...violations], injected: [...all] }, { faults })).toBe(code),
);
