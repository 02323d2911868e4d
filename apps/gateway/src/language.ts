import type { Language } from '@jogakbo/contract';

const spoken: readonly Language[] = ['ko', 'en'];

/**
 * The language to answer in.
 * @param accept the header Accept-Language (RFC 9110); Korean where it names none that is spoken here
 */
export function languageOf(accept: string | undefined): Language {
  if (!accept) return 'ko';
  let best: Language = 'ko';
  let bestQuality = 0;
  for (const range of accept.split(',').slice(0, 20)) {
    const [tag = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const language = tag === '*' ? 'ko' : spoken.find((one) => one === tag.split('-')[0]);
    const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? '1';
    const quality = /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(weight) ? Number(weight) : 0;
    if (language && quality > bestQuality) [best, bestQuality] = [language, quality];
  }
  return best;
}
