import { platformRejection } from '@jogakbo/contract';
import type { Route } from './routes.ts';

/**
 * The header Idempotency-Key, where the contract remembers keys.
 * @throws Rejection where it is required and missing, or malformed
 */
export function readIdempotencyKey(
  { contract }: Route,
  header: string | string[] | undefined,
): string | undefined {
  if (contract.idempotency === 'none') return undefined;
  if (header === undefined) {
    if (contract.idempotency !== 'required') return undefined;
    throw platformRejection(
      'idempotency-key-missing',
      'send Idempotency-Key with a value of your own choice, and the same one when you try again',
    );
  }
  if (typeof header === 'string' && /^[\x21-\x7e]{1,255}$/.test(header)) return header;
  throw platformRejection('invalid', 'Idempotency-Key must be 1 to 255 visible ASCII characters', [
    { path: 'Idempotency-Key', message: 'must be 1 to 255 visible ASCII characters' },
  ]);
}

/** Longer than this nobody is kept waiting, in seconds. */
const longestWait = 30;

/** The seconds of `Prefer: wait=N` (RFC 7240); 0 where it is missing or malformed: a preference is never an error. */
export function secondsToWait(prefer: string | string[] | undefined): number {
  for (const preference of [prefer ?? []].flat().join(',').split(',')) {
    const [name = '', value = ''] = preference.split(';')[0]!.split('=');
    if (name.trim().toLowerCase() !== 'wait') continue;
    const seconds = /^\s*("?)(\d{1,9})\1\s*$/.exec(value)?.[2];
    return seconds ? Math.min(Number(seconds), longestWait) : 0;
  }
  return 0;
}

/**
 * The path of what was made.
 * @param template `/v1/orders/{orderId}`
 * @param output where its parameters come from
 */
export function buildLocation(template: string, output: Record<string, unknown>): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(output[name])));
}

/** A request id that a client chose, where it is fit for logs and headers. */
export function readRequestId(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' && /^[\w.:=+/-]{8,128}$/.test(header) ? header : undefined;
}
