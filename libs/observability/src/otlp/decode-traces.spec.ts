import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decodeTraces } from './decode-traces.ts';
import { TraceRequest } from './schema.ts';
import { UnreadableTelemetry } from './wire.ts';

const span = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  name: 'POST /v1/tea',
  kind: 2,
  startTimeUnixNano: '1796043545633776673',
  endTimeUnixNano: '1796043545643776673',
  attributes: [
    { key: 'http.response.status_code', value: { intValue: '201' } },
    { key: 'list', value: { arrayValue: { values: [{ stringValue: 'a' }, { boolValue: true }] } } },
  ],
  status: { code: 2, message: 'late' },
};
const wrap = (...spans: unknown[]) => ({
  resourceSpans: [
    {
      resource: { attributes: [{ key: 'service.name', value: { stringValue: 'tea' } }] },
      scopeSpans: [{ spans }],
    },
  ],
});
const decode = (value: unknown) => decodeTraces(Buffer.from(JSON.stringify(value)), 'json');
const toBytes = (hex: string) => Buffer.from(hex, 'hex');

describe('an export of OTLP', () => {
  it('reads the same from JSON and from protobuf', () => {
    const { traceId, spanId } = span;
    const wire = TraceRequest.fromObject(
      wrap({ ...span, traceId: toBytes(traceId), spanId: toBytes(spanId) }) as { [key: string]: unknown },
    );
    const { spans, rejected } = decodeTraces(Buffer.from(TraceRequest.encode(wire).finish()), 'protobuf');
    expect(rejected).toBe(0);
    expect(spans).toEqual(decode(wrap(span)).spans);
    expect(spans).toEqual([
      {
        traceId,
        spanId,
        service: 'tea',
        name: 'POST /v1/tea',
        kind: 'server',
        start: 1796043545633.776,
        duration: 10,
        isError: true,
        statusMessage: 'late',
        attributes: { 'http.response.status_code': 201, list: ['a', true] },
        events: [],
        links: [],
      },
    ]);
  });

  it.each([
    ['without a trace id', { traceId: undefined }],
    ['with an id of zeros', { spanId: '0000000000000000' }],
    ['with a short id', { spanId: 'b7ad' }],
    ['with an id that is no text', { traceId: 7 }],
    ['without a start', { startTimeUnixNano: undefined }],
    ['with a time that is no number', { endTimeUnixNano: 'yesterday' }],
  ])('rejects a span %s, and keeps the others', (_what, wrong) => {
    const { spans, rejected } = decode(wrap({ ...span, ...wrong }, span));
    expect({ kept: spans.length, rejected }).toEqual({ kept: 1, rejected: 1 });
  });

  it('cuts what is too long or too deep, and replaces what PostgreSQL cannot store', () => {
    let deep: unknown = { stringValue: 'core' };
    for (let depth = 0; depth < 50; depth += 1) deep = { arrayValue: { values: [deep] } };
    const attributes = [
      { key: '__proto__', value: { stringValue: 'x' } },
      { key: 'long', value: { stringValue: 'x'.repeat(100_000) } },
      { key: 'zero', value: { stringValue: 'a\0b' } },
      { key: 'deep', value: deep },
      { key: 'huge', value: { intValue: '9223372036854775807' } },
      { key: 'infinite', value: { doubleValue: 'Infinity' } },
      ...Array.from({ length: 500 }, (_, index) => ({ key: `k${index}`, value: { boolValue: true } })),
    ];
    const [read] = decode(wrap({ ...span, attributes, name: 'n'.repeat(100_000) })).spans;
    expect(read!.name).toHaveLength(8_192);
    expect(Object.keys(read!.attributes)).toHaveLength(128);
    expect(read!.attributes).toMatchObject({
      zero: 'a\uFFFDb',
      huge: '9223372036854775807',
      infinite: 'Infinity',
    });
    expect(String(read!.attributes['long'])).toHaveLength(8_192);
    expect(JSON.stringify(read!.attributes['deep'])).not.toContain('core');
    expect(Object.getPrototypeOf(read!.attributes)).toBe(Object.prototype);
  });

  it.each([
    ['json', 'no json'],
    ['json', 'null'],
    ['json', '[]'],
    ['protobuf', '\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff'],
  ] as const)('refuses a body that is not %s: %s', (encoding, body) =>
    expect(() => decodeTraces(Buffer.from(body, 'latin1'), encoding)).toThrow(UnreadableTelemetry),
  );

  it('throws only UnreadableTelemetry, for any input', () => {
    const run = (body: Buffer, encoding: 'json' | 'protobuf') => {
      try {
        decodeTraces(body, encoding);
      } catch (error) {
        expect(error).toBeInstanceOf(UnreadableTelemetry);
      }
    };
    const json = fc.letrec((tie) => ({
      value: fc.oneof({ maxDepth: 4 }, fc.jsonValue(), tie('wire')),
      wire: fc.record({
        resourceSpans: tie('value'),
        scopeSpans: tie('value'),
        spans: tie('value'),
        attributes: tie('value'),
        value: tie('value'),
        arrayValue: tie('value'),
      }),
    }));
    fc.assert(
      fc.property(json.value, (value) => run(Buffer.from(JSON.stringify(value)), 'json')),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => run(Buffer.from(bytes), 'protobuf')),
      { numRuns: 2_000 },
    );
  });
});
