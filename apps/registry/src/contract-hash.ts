import { createHash } from 'node:crypto';
import type { ServiceDescription } from '@jogakbo/contract';
import canonicalize from 'canonicalize';

/** The same for equal contracts, regardless of the order of fields. @throws Error if it is no I-JSON (RFC 7493) */
export const computeHash = (contract: ServiceDescription): string =>
  createHash('sha256').update(canonicalize(contract)!).digest('hex');
