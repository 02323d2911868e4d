import { describe, expect, it } from '@jest/globals';
import { childTrace, childTraceparent, getTraceId, readTrace } from './trace-context.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const parentId = '00f067aa0ba902b7';
const parent = `00-${traceId}-${parentId}-01`;
const readFlags = (traceparent: string) => traceparent.slice(53);

describe('traceparent', () => {
  it('keeps the trace id and has a new parent id', () => {
    expect(childTraceparent(parent)).toMatch(new RegExp(`^00-${traceId}-(?!${parentId})[0-9a-f]{16}-01$`));
  });

  it.each([
    ['00', '00'],
    ['01', '01'],
    ['02', '02'],
    ['03', '03'],
    ['ff', '03'],
    ['09', '01'],
  ])('keeps the flags that level 2 defines: %s', (given, kept) => {
    expect(readFlags(childTraceparent(`00-${traceId}-${parentId}-${given}`))).toBe(kept);
  });

  it.each([`cc-${traceId}-${parentId}-01`, `cc-${traceId}-${parentId}-01-what-the-future-will-be-like`])(
    'continues a later version as version 00: %s',
    (given) => {
      expect(childTraceparent(given)).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`));
      expect(getTraceId(given)).toBe(traceId);
    },
  );

  it.each([
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${parentId}-01`],
    ['a parent id of zeros', `00-${traceId}-${'0'.repeat(16)}-01`],
    ['version ff', `ff-${traceId}-${parentId}-01`],
    ['more fields than version 00 has', `${parent}-01`],
    ['a later version with an invalid separator', `cc-${traceId}-${parentId}-01.x`],
    ['capitals', parent.toUpperCase()],
    ['a short id', `00-${traceId.slice(1)}-${parentId}-01`],
    ['two values', `${parent}, ${parent}`],
    ['nothing', ''],
    ['no header', undefined],
  ])('starts a new trace, sampled and random, for %s', (_, given) => {
    const started = childTraceparent(given);
    expect(started).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-03$/);
    expect(started).not.toContain(traceId);
    expect(getTraceId(given)).toBeUndefined();
  });
});

describe('tracestate', () => {
  const getTracestate = (tracestate: string | undefined, traceparent = parent) =>
    childTrace(traceparent, tracestate).tracestate;

  it.each([
    ['rojo=00f067aa0ba902b7,congo=t61rcWkgMzE', 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE'],
    ['tenant@vendor=a:b/c;d', 'tenant@vendor=a:b/c;d'],
    ['foo=1 , \t bar=2,', 'foo=1,bar=2'],
    [', ,', undefined],
    ['foo', undefined],
    ['foo=', undefined],
    ['Foo=1', undefined],
    ['foo=1,foo=2', undefined],
    ['foo=a=b', undefined],
    ['foo=ä', undefined],
    [`${'k'.repeat(257)}=1`, undefined],
    [Array.from({ length: 33 }, (_, n) => `k${n}=1`).join(), undefined],
  ])('%j is passed on as %j', (given, expected) => {
    expect(getTracestate(given)).toBe(expected);
  });

  it('drops long members first, then the last ones', () => {
    const long = `long=${'x'.repeat(200)}`;
    const short = Array.from({ length: 20 }, (_, n) => `key${n}=${'y'.repeat(20)}`);
    const result = getTracestate([long, ...short].join())!;
    expect(result.length).toBeLessThanOrEqual(512);
    expect(result).not.toContain('long=');
    expect(result.split(',')).toEqual(short.slice(0, result.split(',').length));
    expect(getTracestate(long)).toBe(long);
  });

  it('is dropped with an invalid traceparent', () => {
    expect(getTracestate('foo=1', `00-${'0'.repeat(32)}-${parentId}-01`)).toBeUndefined();
    expect(getTracestate('foo=1', `cc-${traceId}-${parentId}-01`)).toBe('foo=1');
  });
});

describe('a received trace context', () => {
  it('keeps the id of its sender, as version 00', () => {
    expect(readTrace(`cc-${traceId}-${parentId}-ff-later`, 'rojo=1')).toEqual({
      traceparent: `00-${traceId}-${parentId}-03`,
      tracestate: 'rojo=1',
    });
  });

  it('is undefined if it is malformed, and has no malformed tracestate', () => {
    expect(readTrace(`00-${traceId}-${parentId}`, 'rojo=1')).toBeUndefined();
    expect(readTrace(undefined)).toBeUndefined();
    expect(readTrace(parent, 'no member')).toEqual({ traceparent: parent });
  });
});
