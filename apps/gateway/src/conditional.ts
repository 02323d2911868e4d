import type { IncomingHttpHeaders } from 'node:http';
import { platformRejection, Rejection, Version } from '@jogakbo/contract';

interface EntityTag {
  isWeak: boolean;
  /** What stands between the quotes. */
  opaque: string;
}

/** One tag of a list, or an empty place in it (RFC 9110, sections 5.6.1 and 8.8.3). A tag may hold commas. */
const element = /[ \t]*(?:(W\/)?"([\x21\x23-\x7e\x80-\xff]*)")?[ \t]*(?:,|$)/y;

/**
 * The value of If-Match or If-None-Match.
 * @returns undefined where it is malformed
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

/** Compared as for a cache: weak or strong does not matter. A malformed header is as good as none. */
function hasWeakMatch(header: string, etag: string): boolean {
  const tags = parseTags(header);
  return tags === '*' || Boolean(tags?.some(({ opaque }) => `"${opaque}"` === etag.replace(/^W\//, '')));
}

/** Compared as for a change: a weak tag matches nothing. @throws Rejection where the header is malformed */
function hasStrongMatch(header: string, etag: string): boolean {
  const tags = mustBeTags(header);
  return tags === '*' || tags.some(({ isWeak, opaque }) => !isWeak && `"${opaque}"` === etag);
}

/** @throws Rejection `invalid` */
export function mustBeTags(ifMatch: string): '*' | EntityTag[] {
  const tags = parseTags(ifMatch);
  if (tags) return tags;
  throw platformRejection('invalid', 'If-Match must be * or ETags as they were given', [
    { path: 'If-Match', message: 'must look like "3", "3.ko" or *' },
  ]);
}

/**
 * Whether a client that reads has the representation with this ETag already (RFC 9110, section 13.2.2).
 * @throws Rejection `precondition-failed` where it wants another one by If-Match
 */
export function isNotModified(headers: IncomingHttpHeaders, etag: string): boolean {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers;
  if (ifMatch !== undefined && !hasStrongMatch(ifMatch, etag))
    throw new Rejection('precondition-failed', 412, 'it is not the version that If-Match names');
  return ifNoneMatch !== undefined && hasWeakMatch(ifNoneMatch, etag);
}

/** The ETag of the same version in a content coding: a strong one is of one sequence of bytes. */
export const inCoding = (etag: string, coding: string): string =>
  etag.startsWith('W/') ? etag : `${etag.slice(0, -1)}.${coding}"`;

/**
 * The versions that If-Match names, for a contract that takes them: `"3"`, or an ETag as this gateway gives them, such as
 * `"3.ko"` and `"3.ko.br"`. Tags of others and weak ones match no version.
 * @returns one number where there is one, for services that know no lists yet
 * @throws Rejection where the header is missing or malformed
 */
export function parseVersions(ifMatch: string | undefined): '*' | number | number[] {
  if (!ifMatch) {
    throw new Rejection(
      'precondition-required',
      428,
      'send If-Match with the ETag of what you read, so that no other change is overwritten',
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
