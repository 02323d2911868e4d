import { createHash } from 'node:crypto';
import type { ServiceDescription } from '@jogakbo/contract';

/** The same for equal contracts, regardless of the order of fields. */
export const computeHash = (contract: ServiceDescription): string =>
  createHash('sha256')
    .update(JSON.stringify(contract, (_key, value: unknown) => sortKeys(value)))
    .digest('hex');

function sortKeys(value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
