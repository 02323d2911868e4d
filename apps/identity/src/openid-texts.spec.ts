import { describe, expect, it } from '@jest/globals';
import { chooseLanguage } from './openid-texts.ts';

describe('the language of a page', () => {
  it.each([
    [undefined, ['ko', 'en'], 'ko'],
    ['en-US, ko;q=0.5', ['ko', 'en'], 'en'],
    ['ko;q=0.1, en;q=0.9', ['ko', 'en'], 'en'],
    ['nl, en;q=0.5', ['nl', 'ko', 'en'], 'en'],
    ['fr', ['nl', 'en', 'ko'], 'en'],
    ['nl', ['nl'], 'en'],
  ])('for %j of %j is %s', (accept, languages, language) => {
    expect(chooseLanguage(accept, languages)).toBe(language);
  });
});
