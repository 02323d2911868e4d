import { describe, expect, it } from '@jest/globals';
import { buildLocation, readRequestId, parseWaitSeconds } from './headers.ts';
import { negotiateLanguage } from './language.ts';

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

describe('Prefer', () => {
  it.each([
    [undefined, 0],
    ['wait=5', 5],
    ['WAIT = 5', 5],
    ['wait="5"', 5],
    ['respond-async, wait=7; strict', 7],
    [['return=minimal', 'wait=3'], 3],
    ['wait=31', 30],
    ['wait=999999999', 30],
    ['wait=0', 0],
    ['wait=-5', 0],
    ['wait=1.5', 0],
    ['wait="5', 0],
    ['wait=5s', 0],
    ['wait', 0],
    ['awaits=5', 0],
  ])('%j waits for %d seconds', (header, seconds) => {
    expect(parseWaitSeconds(header)).toBe(seconds);
  });
});

describe('Location', () => {
  it('is built from the output, and cannot leave its path', () => {
    expect(buildLocation('/v1/loans/{loanId}', { loanId: 'o-1' })).toBe('/v1/loans/o-1');
    expect(buildLocation('/v1/{a}/{b}', { a: '../x', b: 'é\r\n' })).toBe('/v1/..%2Fx/%C3%A9%0D%0A');
  });
});

describe('X-Request-Id', () => {
  it('is accepted if it is safe for logs', () => {
    expect(readRequestId('0190a5a0-0000-7000-8000-000000000001')).toBe(
      '0190a5a0-0000-7000-8000-000000000001',
    );
    for (const bad of [
      undefined,
      '',
      'short',
      'two words',
      'line\nbreak',
      'x'.repeat(129),
      ['abcdefgh', 'b'],
    ]) {
      expect(readRequestId(bad)).toBeUndefined();
    }
  });
});
