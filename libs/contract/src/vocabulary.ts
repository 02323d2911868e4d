import { z } from 'zod';
import { accesses } from './contract.ts';

/** An identifier: a UUID, version 7 if the store creates it. Upper case is equivalent (RFC 9562) and becomes lower case. */
export const Id = z.uuid().toLowerCase();

/** A point in time: UTC, ISO 8601. */
export const Timestamp = z.iso.datetime();

/** The version of an entity: counted from 1 up to the maximum of a PostgreSQL integer. */
export const Version = z.int().min(1).max(2_147_483_647);

/** The condition of If-Match on the version of an entity: this version, one of these, or any. */
export const VersionCondition = z.union([Version, z.array(Version), z.literal('*')]);
export type VersionCondition = z.infer<typeof VersionCondition>;

/** Whether a version meets the condition (RFC 9110, section 13.1.1). */
export const matchesVersion = (condition: VersionCondition, version: number): boolean =>
  condition === '*' || [condition].flat().includes(version);

/** A BCP 47 language tag, optionally with a script and a region: `fr`, `pt-BR`, `zh-Hant`. */
export const Language = z
  .string()
  .max(35)
  .regex(/^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$/, 'must be a language tag such as pt-BR');
export type Language = z.infer<typeof Language>;

/** The language of messages that no client has caused (BCP 47, ISO 639-2): services then choose their default. */
export const undeterminedLanguage = 'und';

/** The name of a role of members: one that `jogakbo.config.ts` declares, or one of the platform. */
export const RoleName = z
  .string()
  .max(60)
  .regex(/^[a-z]+(-[a-z0-9]+)*$/, 'must be in kebab-case');

/** The name of a role that a workspace declares: none of the access policies of the platform. */
export const DeclaredRole = RoleName.refine(
  (role) => !(accesses as readonly string[]).includes(role),
  'is reserved by the platform',
);

/** The fields of every cursor-paged query. `cursor` is opaque: the `nextCursor` of the previous page. */
export const pageQuery = {
  limit: z.int().min(1).max(100).default(20),
  cursor: z.string().min(1).max(200).optional(),
};

/** One page of a list: `nextCursor` is null on the last page. */
export const createPageSchema = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), nextCursor: z.string().nullable() });

/**
 * Builds a page of `createPageSchema` from at most `limit + 1` rows: the additional row shows that another page follows.
 * @param getCursor returns the cursor of the last row of the page
 */
export function toPage<Row>(
  rows: readonly Row[],
  limit: number,
  getCursor: (last: Row) => string | null,
): { items: Row[]; nextCursor: string | null } {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: last !== undefined && rows.length > limit ? getCursor(last) : null };
}
