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
  .refine((shares) => sumOf(shares) <= 100, 'the shares are more than 100 % together');
export type Shares = z.infer<typeof Shares>;

/** Which services have their calls split, and how: {"orders":{"1.4.0":10}}. */
export const TrafficSplit = z.record(z.string(), Shares);
export type TrafficSplit = z.infer<typeof TrafficSplit>;

/** What of a call says by whom a split is kept. */
export type SplitContext = Pick<CallContext, 'caller' | 'address'> | undefined;

/** Decides for a caller which version of a callee takes a call. */
export interface Splitter {
  /** The version that the callee is to be asked for; undefined: any other one, or no split. */
  versionFor(callee: string, context: SplitContext): string | undefined;
  /** Nobody took it under that version; the others were asked. */
  fellBack?(callee: string, version: string): void;
}

/** By whom a split is kept: whose call it is, else where it came from. */
export const splitKeyOf = (context: SplitContext): string | undefined =>
  context?.caller?.memberId ?? context?.address;

/**
 * The version that takes a call, the same one for the same key for as long as the shares are the same. Where one share
 * alone is raised, nobody leaves its version.
 * @param key whose call it is; undefined: chance decides, each time
 * @returns undefined where the call is one of the rest
 */
export function versionFor(service: string, shares: Shares, key: string | undefined): string | undefined {
  let place = 100 * (key === undefined ? Math.random() : fraction(`${service} ${key}`));
  for (const [version, share] of Object.entries(shares)) {
    if (place < share) return version;
    place -= share;
  }
  return undefined;
}

/** Evenly from 0 to 1, however alike the texts are. */
const fraction = (text: string): number => createHash('sha1').update(text).digest().readUInt32BE(0) / 2 ** 32;

/** Fractions of percents do not add up exactly. */
const sumOf = (shares: Record<string, number>): number =>
  Math.round(Object.values(shares).reduce((sum, share) => sum + share, 0) * 1e6) / 1e6;
