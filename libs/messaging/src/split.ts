import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { CallContext } from './call-context.ts';

/** A released version of a service, in the syntax that names of queues and routing keys allow. */
const Release = z
  .string()
  .max(60)
  .regex(
    /^[a-zA-Z0-9][\w.+-]*$/,
    'must be a version: letters, digits, dots, dashes, underscores, plus signs',
  );

/** Percent of a service's calls, by version. All other versions share the rest. */
export const Shares = z
  .record(Release, z.number().min(0).max(100))
  .refine((shares) => sumShares(shares) <= 100, 'the shares add up to more than 100 %');
export type Shares = z.infer<typeof Shares>;

/** Shares by service: {"loans":{"1.4.0":10}}. */
export const TrafficSplit = z.record(z.string(), Shares);
export type TrafficSplit = z.infer<typeof TrafficSplit>;

/** The part of a call context that selects a version. */
export type SplitContext = Pick<CallContext, 'splitKey'> | undefined;

/** Selects the version of a callee that handles a call. */
export interface Splitter {
  /** The selected version; undefined for any other version, or without a split. */
  versionFor(callee: string, context: SplitContext): string | undefined;
  /** Called if that version was unavailable, so that the call went to the others. */
  onVersionUnavailable?(callee: string, version: string): void;
}

/** The number of split keys: shares have a resolution of 0.01 %. */
const splitKeyCount = 10_000;

/**
 * Computes the split key of a member, or of an address without a member. The gateway sets it, and every message that the
 * request causes carries it, so that each service selects the same side: the version with a share, or the others. A forged
 * key only selects another side.
 */
export const toSplitKey = (memberOrAddress: string): number =>
  createHash('sha256').update(memberOrAddress).digest().readUInt32BE(0) % splitKeyCount;

/** Parses the split key of a message; undefined if it is not valid. */
export const parseSplitKey = (value: unknown): number | undefined =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < splitKeyCount
    ? (value as number)
    : undefined;

/**
 * Selects the version for a call: the same one for the same key while the shares do not change. A version with the only
 * share keeps its keys when that share grows. In every service the first version has the lowest keys, so that equal shares
 * of two services have the same members.
 * @param key the split key of the call; undefined selects at random
 * @returns undefined if no version with a share is selected
 */
export function versionFor(shares: Shares, key: number | undefined): string | undefined {
  let place = key === undefined ? 100 * Math.random() : (100 * key) / splitKeyCount;
  for (const [version, share] of Object.entries(shares)) {
    if (place < share) return version;
    place -= share;
  }
  return undefined;
}

/** Rounded, because floating-point fractions do not add up exactly. */
const sumShares = (shares: Record<string, number>): number =>
  Math.round(Object.values(shares).reduce((sum, share) => sum + share, 0) * 1e6) / 1e6;
