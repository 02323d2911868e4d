import type { Language } from '@jogakbo/contract';
import Negotiator from 'negotiator';

const supported: Language[] = ['ko', 'en'];
/** Characters of the header that are read. Browsers send fewer. */
const maxHeaderLength = 500;

/**
 * Chooses the response language. Korean is the default unless the header excludes it.
 * @param accept the header Accept-Language (RFC 9110)
 */
export function negotiateLanguage(accept: string | undefined): Language {
  if (!accept) return 'ko';
  // The added `*` matches languages that the header does not name, with the lowest weight.
  const header = `${accept.slice(0, maxHeaderLength)}, *;q=0.001`;
  return (new Negotiator({ headers: { 'accept-language': header } }).language(supported) ?? 'ko') as Language;
}
