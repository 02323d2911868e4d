import { describe, expect, it } from '@jest/globals';
import { negotiateLanguage } from './negotiate-language.ts';

describe('Accept-Language', () => {
  it.each([
    [undefined, 'nl'],
    ['', 'nl'],
    ['en', 'en'],
    ['en-GB', 'en'],
    ['NL-nl', 'nl'],
    ['fr, de', 'nl'],
    ['*', 'nl'],
    ['en;q=0.8, nl;q=0.9', 'nl'],
    ['nl;q=0.8, en;q=0.9', 'en'],
    ['en, nl', 'en'],
    ['nl, en', 'nl'],
    ['fr, en;q=0.1', 'en'],
    ['nl;q=0, en;q=0.1', 'en'],
    ['en;q=0', 'nl'],
    ['nl;q=0, *', 'en'],
    ['NL;q=0.0, *;q=0.5', 'en'],
    ['nl;q=0', 'en'],
    ['*;q=0.5, nl;q=0.1', 'en'],
    ['nl;q=0, en;q=0', 'nl'],
    ['*;q=0', 'nl'],
    ['en-GB;q=0.1, *', 'nl'],
    ['en;q=x, *;q=0.1', 'nl'],
    [`${'fr,'.repeat(5_000)}en`, 'nl'],
  ])('%s means %s', (header, language) => {
    expect(negotiateLanguage(header, ['nl', 'en'])).toBe(language);
  });
});
