import { LogsRequest } from './schema.ts';
import {
  type Attributes,
  listRecords,
  type Origin,
  type OtlpEncoding,
  readRequest,
  toAttributes,
  toId,
  toMilliseconds,
  toText,
  toValue,
  type WireAttribute,
  type WireId,
  type WireNumber,
  type WireValue,
} from './wire.ts';

/** The ranges of OTLP's severity numbers, from low to high. */
export const severities = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type Severity = (typeof severities)[number];

/** A log record as an exporter sent it. */
export interface ReceivedLog extends Origin {
  /** Milliseconds since 1970, with fractions. */
  time: number;
  severity: Severity;
  body: string;
  /** 32 hexadecimal digits. */
  traceId?: string;
  /** 16 hexadecimal digits. */
  spanId?: string;
  attributes: Attributes;
}

export interface ReceivedLogs {
  logs: ReceivedLog[];
  /** Records without a time. */
  rejected: number;
}

interface WireLog {
  timeUnixNano?: WireNumber;
  observedTimeUnixNano?: WireNumber;
  severityNumber?: number | string;
  body?: WireValue;
  attributes?: WireAttribute[];
  traceId?: WireId;
  spanId?: WireId;
}
/**
 * Decodes an export of OTLP over HTTP. Trusts nothing: ids and times are checked, texts and lists are cut.
 * @throws UnreadableTelemetry
 */
export function decodeLogs(body: Buffer, encoding: OtlpEncoding): ReceivedLogs {
  const request = readRequest(body, encoding, LogsRequest);
  const received: ReceivedLogs = { logs: [], rejected: 0 };
  for (const { record, origin } of listRecords<WireLog>(request, [
    'resourceLogs',
    'scopeLogs',
    'logRecords',
  ])) {
    const log = toLog(record, origin);
    if (log) received.logs.push(log);
    else received.rejected += 1;
  }
  return received;
}

function toLog(wire: WireLog, origin: Origin): ReceivedLog | undefined {
  const time = toMilliseconds(wire.timeUnixNano) ?? toMilliseconds(wire.observedTimeUnixNano);
  if (time === undefined) return undefined;
  const traceId = toId(wire.traceId, 32);
  const spanId = toId(wire.spanId, 16);
  const body = toValue(wire.body);
  return {
    ...origin,
    time,
    severity: toSeverity(wire.severityNumber),
    body: body === null ? '' : toText(body),
    ...(traceId && { traceId }),
    ...(spanId && { spanId }),
    attributes: toAttributes(wire.attributes),
  };
}

/** Each severity has four numbers, from 1; 0 is unspecified. JSON may have the name, such as SEVERITY_NUMBER_WARN2. */
function toSeverity(number: number | string | undefined): Severity {
  if (typeof number === 'string') {
    const name = /^SEVERITY_NUMBER_([A-Z]+)[2-4]?$/.exec(number)?.[1]?.toLowerCase();
    return severities.find((one) => one === name) ?? 'info';
  }
  return (number && severities[Math.floor((number - 1) / 4)]) || 'info';
}
