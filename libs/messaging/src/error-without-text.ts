import { DecryptionFailed, UnknownKey } from './encryption.ts';
import { UnauthorizedSender } from './identity.ts';
import { RemoteFault } from './wire.ts';

/** Whether this library wrote the text, without any data in it. */
const isOurs = (error: unknown): boolean =>
  (error instanceof RemoteFault && !error.answered) ||
  [UnauthorizedSender, UnknownKey, DecryptionFailed].some((kind) => error instanceof kind);

/**
 * An error for the log and the dead letter of a sensitive message: what kind it is, its code, and where it was thrown.
 * Its text is left out, because it may quote data: PostgreSQL's do, and those of JSON.
 */
export function withoutText(error: unknown): unknown {
  if (isOurs(error)) return error;
  const {
    name = 'Error',
    stack = '',
    code,
  } = (error ?? {}) as { name?: string; stack?: string; code?: unknown };
  const message = `${typeof code === 'string' ? `${code}, ` : ''}text left out: it may quote sensitive data`;
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line));
  const told = Object.assign(new Error(message), { name, ...(typeof code === 'string' && { code }) });
  told.stack = [`${name}: ${message}`, ...frames].join('\n');
  return told;
}
