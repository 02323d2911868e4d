import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decodeLogs } from './decode-logs.ts';
import { LogsRequest } from './schema.ts';
import { UnreadableTelemetry } from './wire.ts';

const record = {
  timeUnixNano: '1796043545633776673',
  severityNumber: 17,
  severityText: 'ERROR',
  body: { stringValue: 'the pot is empty' },
  attributes: [{ key: 'exception.type', value: { stringValue: 'EmptyPot' } }],
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
};
const wrap = (...logRecords: unknown[]) => ({
  resourceLogs: [
    {
      resource: { attributes: [{ key: 'service.name', value: { stringValue: 'tea' } }] },
      scopeLogs: [{ logRecords }],
    },
  ],
});
const decode = (value: unknown) => decodeLogs(Buffer.from(JSON.stringify(value)), 'json');
const toBytes = (hex: string) => Buffer.from(hex, 'hex');

describe('an export of logs', () => {
  it('reads the same from JSON and from protobuf', () => {
    const { traceId, spanId } = record;
    const wire = LogsRequest.fromObject(
      wrap({ ...record, traceId: toBytes(traceId), spanId: toBytes(spanId) }) as { [key: string]: unknown },
    );
    const received = decodeLogs(Buffer.from(LogsRequest.encode(wire).finish()), 'protobuf');
    expect(received).toEqual(decode(wrap(record)));
    expect(received).toEqual({
      logs: [
        {
          service: 'tea',
          time: 1796043545633.776,
          severity: 'error',
          body: 'the pot is empty',
          traceId,
          spanId,
          attributes: { 'exception.type': 'EmptyPot' },
        },
      ],
      rejected: 0,
    });
  });

  it.each([
    [1, 'trace'],
    [8, 'debug'],
    [9, 'info'],
    [16, 'warn'],
    [24, 'fatal'],
    ['SEVERITY_NUMBER_WARN3', 'warn'],
    [0, 'info'],
    [25, 'info'],
    ['LOUD', 'info'],
  ])('has the severity of the number %p: %s', (severityNumber, severity) => {
    expect(decode(wrap({ ...record, severityNumber })).logs).toMatchObject([{ severity }]);
  });

  it('rejects a record without a time, and reads any body', () => {
    const { timeUnixNano, ...rest } = record;
    const { logs, rejected } = decode(
      wrap(rest, {
        ...rest,
        observedTimeUnixNano: timeUnixNano,
        body: { kvlistValue: {} },
        traceId: 'short',
      }),
    );
    expect(rejected).toBe(1);
    expect(logs).toMatchObject([{ body: '{}', time: 1796043545633.776 }]);
    expect(logs[0]).not.toHaveProperty('traceId');
  });

  it('throws only UnreadableTelemetry, for any input', () => {
    const run = (body: Buffer, encoding: 'json' | 'protobuf') => {
      try {
        decodeLogs(body, encoding);
      } catch (error) {
        expect(error).toBeInstanceOf(UnreadableTelemetry);
      }
    };
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        run(Buffer.from(JSON.stringify(value)), 'json');
        run(Buffer.from(JSON.stringify(wrap({ ...record, body: value, attributes: value }, value))), 'json');
      }),
      { numRuns: 500 },
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => run(Buffer.from(bytes), 'protobuf')));
  });
});
