import type { Language } from '@jogakbo/contract';
import Negotiator from 'negotiator';

/** Characters of the header that are read. Browsers send fewer. */
const maxHeaderLength = 500;

/**
 * Chooses the response language.
 * @param accept the header Accept-Language (RFC 9110)
 * @param supported the first one is the default, unless the header excludes it
 */
export function negotiateLanguage(accept: string | undefined, supported: readonly Language[]): Language {
  const fallback = supported[0]!;
  if (!accept) return fallback;
  // The added `*` matches languages that the header does not name, with the lowest weight.
  const header = `${accept.slice(0, maxHeaderLength)}, *;q=0.001`;
  return new Negotiator({ headers: { 'accept-language': header } }).language([...supported]) ?? fallback;
}
