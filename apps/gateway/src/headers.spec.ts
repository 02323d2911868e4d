import { describe, expect, it } from '@jest/globals';
import { buildLocation, readRequestId, parseWaitSeconds } from './headers.ts';

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
