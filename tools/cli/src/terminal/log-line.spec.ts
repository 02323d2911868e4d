import { describe, expect, it } from '@jest/globals';
import { parseLine, renderLine, parseLogTime } from './log-line.ts';
import { mergeByTime } from './log-source.ts';

const at = new Date(2026, 10, 21, 9, 8, 7, 65).getTime();

describe('renderLine', () => {
  it('puts time, level, service, message, fields and trace on one line', () => {
    const line = JSON.stringify({
      ...{ level: 40, time: at, service: 'loans', msg: 'slow', pid: 1, hostname: 'h' },
      ...{ milliseconds: 12, traceId: '0123456789abcdef' },
    });
    expect(renderLine(line, false, 8)).toBe(
      '09:08:07.065 warn  loans    slow milliseconds=12 trace=01234567',
    );
  });

  it('adds the error message unless it equals the log message', () => {
    const failed = { level: 50, time: at, service: 'a', msg: 'no', err: { message: 'disk full' } };
    expect(renderLine(JSON.stringify(failed), false, 1)).toContain('no: disk full');
    expect(renderLine(JSON.stringify({ ...failed, msg: 'disk full' }), false, 1)).toMatch(/a disk full$/);
  });

  it('returns lines that are not valid JSON unchanged', () => {
    expect(renderLine('plain words', true)).toBe('plain words');
    expect(renderLine('{"level":30', true)).toBe('{"level":30');
  });

  it('shortens long fields', () => {
    expect(renderLine(JSON.stringify({ time: at, body: 'x'.repeat(500) }), false).length).toBeLessThan(220);
  });
});

describe('parseLogTime', () => {
  it('accepts milliseconds and ISO 8601', () => {
    expect(parseLogTime('{"time":5}')).toBe(5);
    expect(parseLogTime('{"time":"2026-11-21T00:00:00Z"}')).toBe(Date.UTC(2026, 10, 21));
  });

  it('reads the time of lines of RabbitMQ and PostgreSQL', () => {
    const at = Date.UTC(2026, 10, 21, 9, 8, 7, 65);
    expect(parseLogTime('2026-11-21 09:08:07.065 UTC [41] loans@loans LOG:  slow')).toBe(at);
    expect(parseLogTime('2026-11-21 10:08:07.065123+01:00 [info] <0.9.0> started')).toBe(at);
    expect(parseLogTime('2026-11-21 is a day')).toBeUndefined();
  });

  it('is undefined without one', () => {
    expect(parseLogTime('{"msg":"x"}')).toBeUndefined();
    expect(parseLogTime('{"time":"soon"}')).toBeUndefined();
    expect(parseLine('[1]')).toBeUndefined();
  });
});

describe('mergeByTime', () => {
  it('sorts lines of several services and keeps the order of equal times', () => {
    const merged = mergeByTime([
      [
        { time: 1, line: 'a1' },
        { time: 3, line: 'a3' },
      ],
      [
        { time: 1, line: 'b1' },
        { time: 2, line: 'b2' },
      ],
    ]);
    expect(merged.map(({ line }) => line)).toEqual(['a1', 'b1', 'b2', 'a3']);
  });
});
