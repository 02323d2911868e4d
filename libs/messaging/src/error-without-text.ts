import { DecryptionFailed, UnknownKey } from './encryption.ts';
import { UnauthorizedSender } from './identity.ts';
import { RemoteFault } from './faults.ts';

/**
 * Whether this library created the text, so that it contains no data. `RemoteFault`s of a callee are excluded by `answered`;
 * a handler that throws one itself must not put data into its text.
 */
const hasSafeText = (error: unknown): boolean =>
  (error instanceof RemoteFault && !error.answered) ||
  [UnauthorizedSender, UnknownKey, DecryptionFailed].some((kind) => error instanceof kind);

/**
 * Returns an error for the log and the dead letter of a sensitive message, with the original name, code and stack frames.
 * The text is left out because it may quote data, as in errors of PostgreSQL and JSON.
 */
export function withoutText(error: unknown): unknown {
  if (hasSafeText(error)) return error;
  const {
    name = 'Error',
    stack = '',
    code,
  } = (error ?? {}) as { name?: string; stack?: string; code?: unknown };
  const message = `${typeof code === 'string' ? `${code}, ` : ''}text left out: it may quote sensitive data`;
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line));
  const safe = Object.assign(new Error(message), { name, ...(typeof code === 'string' && { code }) });
  safe.stack = [`${name}: ${message}`, ...frames].join('\n');
  return safe;
}
