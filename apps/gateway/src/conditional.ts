import type { IncomingHttpHeaders } from 'node:http';
import { platformRejection, Rejection, Version } from '@jogakbo/contract';

interface EntityTag {
  isWeak: boolean;
  /** The text between the quotes. */
  opaque: string;
}

/** One tag of a list, or an empty list element (RFC 9110, sections 5.6.1 and 8.8.3). A tag may contain commas. */
const element = /[ \t]*(?:(W\/)?"([\x21\x23-\x7e\x80-\xff]*)")?[ \t]*(?:,|$)/y;

/**
 * The value of If-Match or If-None-Match.
 * @returns undefined if it is malformed
 */
export function parseTags(header: string): '*' | EntityTag[] | undefined {
  if (header.trim() === '*') return '*';
  const tags: EntityTag[] = [];
  for (element.lastIndex = 0; element.lastIndex < header.length;) {
    const found = element.exec(header);
    if (!found) return undefined;
    if (found[2] !== undefined) tags.push({ isWeak: found[1] !== undefined, opaque: found[2] });
  }
  return tags;
}

/** Weak comparison (RFC 9110, section 8.8.3.2), for caches. A malformed header is ignored. */
function hasWeakMatch(header: string, etag: string): boolean {
  const tags = parseTags(header);
  return tags === '*' || Boolean(tags?.some(({ opaque }) => `"${opaque}"` === etag.replace(/^W\//, '')));
}

/** Strong comparison: a weak tag matches nothing. @throws Rejection if the header is malformed */
function hasStrongMatch(header: string, etag: string): boolean {
  const tags = mustBeTags(header);
  return tags === '*' || tags.some(({ isWeak, opaque }) => !isWeak && `"${opaque}"` === etag);
}

/** @throws Rejection `invalid` */
export function mustBeTags(ifMatch: string): '*' | EntityTag[] {
  const tags = parseTags(ifMatch);
  if (tags) return tags;
  throw platformRejection('invalid', 'If-Match must be * or a list of ETags from earlier responses', [
    { path: 'If-Match', message: 'must look like "3", "3.ko" or *' },
  ]);
}

/**
 * Whether a reading client already has the representation with this ETag (RFC 9110, section 13.2.2).
 * @throws Rejection `precondition-failed` if If-Match names other ETags
 */
export function isNotModified(headers: IncomingHttpHeaders, etag: string): boolean {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers;
  if (ifMatch !== undefined && !hasStrongMatch(ifMatch, etag))
    throw new Rejection('precondition-failed', 412, 'the current version does not match If-Match');
  return ifNoneMatch !== undefined && hasWeakMatch(ifNoneMatch, etag);
}

/** The ETag of the same version in a content coding. A strong ETag identifies one byte sequence. */
export const toCodingTag = (etag: string, coding: string): string =>
  etag.startsWith('W/') ? etag : `${etag.slice(0, -1)}.${coding}"`;

/**
 * The versions that If-Match names: `"3"`, or ETags in the form of this gateway, such as `"3.ko"` and `"3.ko.br"`. Weak
 * tags and tags in other forms match no version.
 * @returns a plain number for one version, for services that do not support lists yet
 * @throws Rejection if the header is missing or malformed
 */
export function parseVersions(ifMatch: string | undefined): '*' | number | number[] {
  if (!ifMatch) {
    throw new Rejection(
      'precondition-required',
      428,
      'send If-Match with the ETag that you read, to avoid overwriting another change',
    );
  }
  const tags = mustBeTags(ifMatch);
  if (tags === '*') return tags;
  const versions = tags.flatMap(({ isWeak, opaque }) => {
    const version = Number(/^(\d+)(\.[a-z]{2})?(\.(br|gzip))?$/.exec(opaque)?.[1]);
    return !isWeak && Version.safeParse(version).success ? [version] : [];
  });
  const distinct = [...new Set(versions)];
  return distinct.length === 1 ? distinct[0]! : distinct;
}
