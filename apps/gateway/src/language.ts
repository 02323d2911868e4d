import type { Language } from '@jogakbo/contract';
import Negotiator from 'negotiator';

const spoken: Language[] = ['ko', 'en'];
/** Characters of the header that are read: more than any browser sends. */
const longestHeader = 500;

/**
 * The language to answer in.
 * @param accept the header Accept-Language (RFC 9110); Korean where it names none that is spoken here, and does not refuse it
 */
export function negotiateLanguage(accept: string | undefined): Language {
  if (!accept) return 'ko';
  // The last range stands for every language that the header does not name.
  const header = `${accept.slice(0, longestHeader)}, *;q=0.001`;
  return (new Negotiator({ headers: { 'accept-language': header } }).language(spoken) ?? 'ko') as Language;
}
