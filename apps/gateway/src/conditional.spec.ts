import { describe, expect, it } from '@jest/globals';
import { toCodingTag, isNotModified, parseTags, parseVersions } from './conditional.ts';

describe('If-None-Match', () => {
  it.each([
    ['"1.ko"', '"1.ko"', true],
    ['"9", W/"1.ko"', '"1.ko"', true],
    ['W/"x.ko"', 'W/"x.ko"', true],
    ['"x.ko"', 'W/"x.ko"', true],
    [' , "9",, "1.ko" ,', '"1.ko"', true],
    ['*', '"1.ko"', true],
    ['"1"', '"1.ko"', false],
    ['"1.ko.br"', '"1.ko"', false],
    ['"a,b"', '"b"', false],
    ['1.ko', '"1.ko"', false],
    ['', '"1.ko"', false],
  ])('%s matches %s: %s', (header, etag, matches) => {
    expect(isNotModified({ 'if-none-match': header }, etag)).toBe(matches);
  });
});

describe('If-Match on a read', () => {
  it.each(['"1.ko"', '"9", "1.ko"', '*'])('%s matches', (header) => {
    expect(isNotModified({ 'if-match': header }, '"1.ko"')).toBe(false);
  });

  it.each(['"2.ko"', 'W/"1.ko"', '"9", W/"1.ko"', '"1"', ''])('%s does not match', (header) => {
    expect(() => isNotModified({ 'if-match': header }, '"1.ko"')).toThrow(
      expect.objectContaining({ status: 412, code: 'precondition-failed' }),
    );
  });

  it('never matches a weak ETag', () => {
    expect(() => isNotModified({ 'if-match': 'W/"x"' }, 'W/"x"')).toThrow(
      expect.objectContaining({ status: 412 }),
    );
  });

  it('is evaluated before If-None-Match', () => {
    expect(isNotModified({ 'if-match': '"1.ko"', 'if-none-match': '"1.ko"' }, '"1.ko"')).toBe(true);
    expect(() => isNotModified({ 'if-match': '"2"', 'if-none-match': '*' }, '"1"')).toThrow();
  });
});

describe('If-Match on a change', () => {
  it.each([
    ['"3"', 3],
    ['"3.ko"', 3],
    ['"3.ko.br"', 3],
    ['"3.gzip"', 3],
    ['"3.ko", "3.en"', 3],
    ['"3", "4"', [3, 4]],
    ['"3", W/"4", "x"', 3],
    ['*', '*'],
    [' * ', '*'],
    ['W/"3"', []],
    ['"x"', []],
    ['"-1"', []],
    ['""', []],
    ['"0"', []],
    ['"99999999999999999999"', []],
  ])('%s means %j', (header, versions) => {
    expect(parseVersions(header)).toEqual(versions);
  });

  it.each(['3', '"3', '"3" "4"', 'w/"3"', '*, "3"', '"3";x'])('%s is malformed', (header) => {
    expect(() => parseVersions(header)).toThrow(expect.objectContaining({ status: 400, code: 'invalid' }));
  });

  it.each([undefined, ''])('is required', (header) => {
    expect(() => parseVersions(header)).toThrow(expect.objectContaining({ status: 428 }));
  });
});

it('parses a long list in linear time', () => {
  const long = `${'"x",'.repeat(4_000)}"`;
  const began = performance.now();
  expect(parseTags(long)).toBeUndefined();
  expect(performance.now() - began).toBeLessThan(200);
});

it('each content coding has its own strong ETag', () => {
  expect(toCodingTag('"3.ko"', 'br')).toBe('"3.ko.br"');
  expect(toCodingTag('W/"x"', 'br')).toBe('W/"x"');
});
