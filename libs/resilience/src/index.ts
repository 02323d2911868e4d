export { CallGuard, CallRejected, type Call, type CalleeState, type CallGuardOptions } from './call-guard.ts';
export { RetryBudget } from './retry-budget.ts';
