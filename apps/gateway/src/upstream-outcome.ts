import { Rejection } from '@jogakbo/contract';
import { RemoteFault } from '@jogakbo/messaging';
import { DeniedAddress } from '@jogakbo/service/upstream-addresses';
import type { Outcome } from './upstream-health.ts';

/** The request was not sent, so any method may be retried with another instance. */
const connectErrors = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** A failed attempt. If the instance was reached, only a safe request is retried with another instance. */
export class AttemptFailed extends Error {
  constructor(readonly wasReached: boolean) {
    super('the instance did not answer');
  }
}

export function toOutcome(error: unknown, isClientGone: boolean): Outcome {
  const { code } = error as { code?: string };
  if (isClientGone) return 'given-up';
  if (error instanceof RemoteFault) return 'overloaded';
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') return 'too-large';
  if (error instanceof DeniedAddress) return 'denied';
  return connectErrors.has(code ?? '') ? 'unreached' : 'failed';
}

/** The error of the attempt for its caller. */
export function toThrown(outcome: Outcome, error: unknown): unknown {
  switch (outcome) {
    case 'late':
      return new RemoteFault('timeout', 'the instance did not answer in time');
    case 'too-large':
      return new RemoteFault('contract-broken', 'the response is too large');
    case 'given-up':
      return new Rejection('client-gone', 499);
    case 'error':
    case 'overloaded':
      return error;
    default:
      return new AttemptFailed(outcome === 'failed');
  }
}
