import { platformRejection } from '@jogakbo/contract';
import type { Route } from './routes.ts';

/**
 * Reads Idempotency-Key, if the contract supports it.
 * @throws Rejection if it is malformed, or required and missing
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
      'send Idempotency-Key with a unique value, and repeat the value in retries',
    );
  }
  if (typeof header === 'string' && /^[\x21-\x7e]{1,255}$/.test(header)) return header;
  throw platformRejection('invalid', 'Idempotency-Key must be 1 to 255 visible ASCII characters', [
    { path: 'Idempotency-Key', message: 'must be 1 to 255 visible ASCII characters' },
  ]);
}

/** Maximum of `Prefer: wait`, in seconds. */
const maxWaitSeconds = 30;

/** The seconds of `Prefer: wait=N` (RFC 7240); 0 if it is missing or malformed, because a preference is never an error. */
export function parseWaitSeconds(prefer: string | string[] | undefined): number {
  for (const preference of [prefer ?? []].flat().join(',').split(',')) {
    const [name = '', value = ''] = preference.split(';')[0]!.split('=');
    if (name.trim().toLowerCase() !== 'wait') continue;
    const seconds = /^\s*("?)(\d{1,9})\1\s*$/.exec(value)?.[2];
    return seconds ? Math.min(Number(seconds), maxWaitSeconds) : 0;
  }
  return 0;
}

/**
 * The path of the created resource.
 * @param template `/v1/loans/{loanId}`
 * @param output source of the parameter values
 */
export function buildLocation(template: string, output: Record<string, unknown>): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(output[name])));
}

/** The client's request id, if it is safe for logs and headers. */
export function readRequestId(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' && /^[\w.:=+/-]{8,128}$/.test(header) ? header : undefined;
}
