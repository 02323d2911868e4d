import { styleText } from 'node:util';
import { toPrintable } from './printable.ts';

export interface LogEntry {
  time: number;
  line: string;
}

interface Parsed {
  level?: number;
  time?: number | string;
  msg?: string;
  service?: string;
  traceId?: string;
  err?: { type?: string; message?: string; stack?: string };
  [key: string]: unknown;
}

const levels: Record<number, { name: string; style: Parameters<typeof styleText>[0] }> = {
  10: { name: 'trace', style: 'gray' },
  20: { name: 'debug', style: 'gray' },
  30: { name: 'info', style: 'green' },
  40: { name: 'warn', style: 'yellow' },
  50: { name: 'error', style: 'red' },
  60: { name: 'fatal', style: 'magenta' },
};
const hiddenFields = new Set([
  'level',
  'time',
  'msg',
  'service',
  'traceId',
  'spanId',
  'err',
  'pid',
  'hostname',
  'v',
]);

export function parseLine(line: string): Parsed | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as Parsed;
  } catch {
    return undefined;
  }
}

/** The time at the beginning of a line of RabbitMQ (with an offset) or PostgreSQL (with UTC). */
const leadingTime = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?) ?(UTC|[+-]\d\d:\d\d)/;

/** The time of a log line in milliseconds: the field `time` of JSON, else a leading time. Undefined without one. */
export function parseLogTime(line: string): number | undefined {
  const [, date, clock, zone] = leadingTime.exec(line) ?? [];
  const time = date ? `${date}T${clock}${zone === 'UTC' ? 'Z' : zone}` : parseLine(line)?.time;
  const value = typeof time === 'string' ? Date.parse(time) : time;
  return Number.isFinite(value) ? value : undefined;
}

function shorten(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > 160 ? `${text.slice(0, 157)}...` : text;
}

/** Formats a JSON log line for reading. Lines that are not JSON stay unchanged. Escapes terminal control characters. */
export function renderLine(line: string, colours: boolean, width = 13): string {
  const entry = parseLine(line);
  if (!entry) return toPrintable(line);
  const paint = (style: Parameters<typeof styleText>[0], text: string) =>
    colours ? styleText(style, toPrintable(text), { validateStream: false }) : toPrintable(text);
  const at = parseLogTime(line);
  const clock =
    at === undefined
      ? '--:--:--.---'
      : new Date(at).toTimeString().slice(0, 8) + `.${String(at % 1000).padStart(3, '0')}`;
  const level = levels[Math.floor((entry.level ?? 30) / 10) * 10] ?? levels[30]!;
  const rest = Object.entries(entry)
    .filter(([key, value]) => !hiddenFields.has(key) && value !== undefined && value !== null)
    .map(([key, value]) => `${key}=${shorten(value)}`);
  const error = entry.err?.message && entry.err.message !== entry.msg ? `: ${entry.err.message}` : '';
  return [
    paint('gray', clock),
    paint(level.style, level.name.padEnd(5)),
    paint('cyan', String(entry.service ?? '').padEnd(width)),
    toPrintable(`${entry.msg ?? ''}${error}`),
    ...(rest.length ? [paint('gray', rest.join(' '))] : []),
    ...(entry.traceId ? [paint('gray', `trace=${String(entry.traceId).slice(0, 8)}`)] : []),
  ].join(' ');
}
