import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decodeMetrics } from './decode-metrics.ts';
import { MetricsRequest } from './schema.ts';
import { UnreadableTelemetry } from './wire.ts';

const timeUnixNano = '1796043545633776673';
const time = 1796043545633.776;
const traceId = '0af7651916cd43dd8448eb211c80319c';
const attributes = [{ key: 'leaf', value: { stringValue: 'green' } }];
const wrap = (...metrics: unknown[]) => ({
  resourceMetrics: [
    {
      resource: { attributes: [{ key: 'service.name', value: { stringValue: 'tea' } }] },
      scopeMetrics: [{ metrics }],
    },
  ],
});
const decode = (value: unknown) => decodeMetrics(Buffer.from(JSON.stringify(value)), 'json');

const gauge = {
  name: 'pot_fill',
  description: 'How full the pot is.',
  unit: '1',
  gauge: { dataPoints: [{ timeUnixNano, asDouble: 0.5, attributes }] },
};
const counter = {
  name: 'cups_total',
  sum: { aggregationTemporality: 2, isMonotonic: true, dataPoints: [{ timeUnixNano, asInt: '3' }] },
};
const point = {
  timeUnixNano,
  count: '4',
  sum: 2.5,
  explicitBounds: [0.1, 1],
  bucketCounts: ['1', '2', '1'],
  exemplars: [{ timeUnixNano, asDouble: 0.7, traceId }],
};
const histogram = { name: 'brewing_seconds', histogram: { aggregationTemporality: 1, dataPoints: [point] } };
const common = { service: 'tea', description: '', unit: '', attributes: {}, exemplars: [], time };

describe('an export of metrics', () => {
  it('reads the same from JSON and from protobuf', () => {
    const inBytes = (one: typeof histogram) => ({
      ...one,
      histogram: {
        ...one.histogram,
        dataPoints: one.histogram.dataPoints.map((data) => ({
          ...data,
          exemplars: data.exemplars.map((exemplar) => ({
            ...exemplar,
            traceId: Buffer.from(exemplar.traceId, 'hex'),
          })),
        })),
      },
    });
    const wire = MetricsRequest.fromObject(
      wrap(gauge, counter, inBytes(histogram)) as { [key: string]: unknown },
    );
    const received = decodeMetrics(Buffer.from(MetricsRequest.encode(wire).finish()), 'protobuf');
    expect(received).toEqual(decode(wrap(gauge, counter, histogram)));
    expect(received.points).toEqual([
      {
        ...common,
        metric: 'pot_fill',
        description: 'How full the pot is.',
        unit: '1',
        kind: 'gauge',
        isDelta: false,
        attributes: { leaf: 'green' },
        value: 0.5,
      },
      { ...common, metric: 'cups_total', kind: 'counter', isDelta: false, value: 3 },
      {
        ...common,
        metric: 'brewing_seconds',
        kind: 'histogram',
        isDelta: true,
        value: 2.5,
        buckets: { bounds: [0.1, 1], counts: [1, 2, 1] },
        exemplars: [{ time, value: 0.7, traceId }],
      },
    ]);
  });

  it.each([
    ['without a name', { ...gauge, name: '' }],
    ['without a time', { ...gauge, gauge: { dataPoints: [{ asDouble: 1 }] } }],
    ['without a value', { ...gauge, gauge: { dataPoints: [{ timeUnixNano }] } }],
    ['whose value is no number', { ...gauge, gauge: { dataPoints: [{ timeUnixNano, asDouble: 'NaN' }] } }],
    [
      'with a bucket too few',
      { ...histogram, histogram: { dataPoints: [{ ...point, bucketCounts: ['1'] }] } },
    ],
    [
      'with bounds that fall',
      { ...histogram, histogram: { dataPoints: [{ ...point, explicitBounds: [1, 0] }] } },
    ],
    ['of a kind that is not supported', { name: 'old', summary: { dataPoints: [{ timeUnixNano }] } }],
  ])('rejects a point %s, and keeps the others', (_what, wrong) => {
    const { points, rejected } = decode(wrap(wrong, counter));
    expect({ kept: points.length, rejected }).toEqual({ kept: 1, rejected: 1 });
  });

  it('accepts a histogram without buckets, and rejects kinds that are not supported in protobuf too', () => {
    const { explicitBounds: _bounds, bucketCounts: _counts, ...bare } = point;
    const made = wrap(
      { ...histogram, histogram: { dataPoints: [bare] } },
      { name: 'old', summary: { dataPoints: [{}] } },
    );
    expect(decode(made)).toMatchObject({ points: [{ buckets: { bounds: [], counts: [] } }], rejected: 1 });
    const wire = MetricsRequest.fromObject(
      wrap(
        { name: 'old', summary: { dataPoints: [{}, {}] } },
        { name: 'new', exponentialHistogram: { dataPoints: [{}] } },
      ),
    );
    expect(decodeMetrics(Buffer.from(MetricsRequest.encode(wire).finish()), 'protobuf')).toEqual({
      points: [],
      rejected: 3,
    });
  });

  it('throws only UnreadableTelemetry, for any input', () => {
    const run = (body: Buffer, encoding: 'json' | 'protobuf') => {
      try {
        decodeMetrics(body, encoding);
      } catch (error) {
        expect(error).toBeInstanceOf(UnreadableTelemetry);
      }
    };
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        for (const one of [value, wrap(value), wrap({ name: 'x', histogram: { dataPoints: [value] } })])
          run(Buffer.from(JSON.stringify(one)), 'json');
      }),
      { numRuns: 500 },
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => run(Buffer.from(bytes), 'protobuf')));
  });
});
