import { undeterminedLanguage } from '@jogakbo/contract';
import type { CallContext } from './call-context.ts';
import { childTrace } from './trace-context.ts';

/** Header of an encrypted request: the public key (JWK) for the encryption of its answer. */
export const answerKeyHeader = 'reply-key';

/** See `CallContext.splitKey`. */
export const splitKeyHeader = 'split-key';
/** Media type of a batch: a JSON array of message bodies, each with its headers. */
export const batchType = 'application/vnd.jogakbo.batch+json';
/** Header of a caller that accepts batches of answers. A caller that sends a batch accepts them too. */
export const acceptHeader = 'accept';

/** Headers with the context of a call. */
export function contextHeaders(context: CallContext | undefined): Record<string, unknown> {
  return {
    ...childTrace(context?.traceparent, context?.tracestate),
    language: context?.language ?? undeterminedLanguage,
    ...(context?.deadline && { deadline: context.deadline }),
    ...(context?.caller && { caller: JSON.stringify(context.caller) }),
    ...(context?.address && { address: context.address }),
    ...(context?.splitKey !== undefined && { [splitKeyHeader]: context.splitKey }),
  };
}
