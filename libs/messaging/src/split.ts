import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { CallContext } from './call-context.ts';

/** A version as it may stand in the names of queues and routing keys. */
const Version = z
  .string()
  .max(60)
  .regex(/^[a-zA-Z0-9][\w.+-]*$/, 'a version: letters, digits, dots, dashes');

/** Percent of a service's calls, by version. What is left goes to all other versions. */
export const Shares = z
  .record(Version, z.number().min(0).max(100))
  .refine((shares) => sumShares(shares) <= 100, 'the shares are more than 100 % together');
export type Shares = z.infer<typeof Shares>;

/** Which services have their calls split, and how: {"orders":{"1.4.0":10}}. */
export const TrafficSplit = z.record(z.string(), Shares);
export type TrafficSplit = z.infer<typeof TrafficSplit>;

/** What of a call decides which side of a split it meets. */
export type SplitContext = Pick<CallContext, 'splitKey'> | undefined;

/** Decides for a caller which version of a callee takes a call. */
export interface Splitter {
  /** The version that the callee is to be asked for; undefined: any other one, or no split. */
  versionFor(callee: string, context: SplitContext): string | undefined;
  /** Nobody took it under that version; the others were asked. */
  fellBack?(callee: string, version: string): void;
}

/** As many as a percent has hundredths, a hundred times. */
const splitKeys = 10_000;

/**
 * The split key of a member, or of an address where there is no member. The gateway makes it; it travels with everything
 * that a request causes, so that each service on the way meets the same side. Whoever forges one chooses its own side.
 */
export const toSplitKey = (memberOrAddress: string): number =>
  createHash('sha256').update(memberOrAddress).digest().readUInt32BE(0) % splitKeys;

/** The split key that a sender wrote; undefined where it is none. */
export const parseSplitKey = (value: unknown): number | undefined =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < splitKeys
    ? (value as number)
    : undefined;

/**
 * The version that takes a call, the same one for the same key for as long as the shares are the same. Where one share
 * alone is raised, nobody leaves its version. At every service the first keys are those of the first version that its
 * split names: who meets the new version of one service meets the new version of another with as large a share.
 * @param key of the call; undefined: chance decides, each time
 * @returns undefined where the call is one of the rest
 */
export function versionFor(shares: Shares, key: number | undefined): string | undefined {
  let place = key === undefined ? 100 * Math.random() : (100 * key) / splitKeys;
  for (const [version, share] of Object.entries(shares)) {
    if (place < share) return version;
    place -= share;
  }
  return undefined;
}

/** Fractions of percents do not add up exactly. */
const sumShares = (shares: Record<string, number>): number =>
  Math.round(Object.values(shares).reduce((sum, share) => sum + share, 0) * 1e6) / 1e6;
