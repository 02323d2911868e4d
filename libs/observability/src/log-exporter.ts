import type { WireAttribute, WireValue } from './otlp/wire.ts';
import { type OtlpSender, toNanoseconds, toWireAttributes } from './otlp-sender.ts';

/** Lines that wait for their export; further ones are dropped, so that a missing collector costs no memory. */
const maxWaiting = 4_096;
const maxBatch = 512;
/** Longer texts are cut. */
const maxTextLength = 8_000;

/** The levels of pino and OTLP's severity numbers, from high to low. */
const severities = [
  [60, 21, 'FATAL'],
  [50, 17, 'ERROR'],
  [40, 13, 'WARN'],
  [30, 9, 'INFO'],
  [20, 5, 'DEBUG'],
  [0, 1, 'TRACE'],
] as const;

interface LogRecord {
  timeUnixNano: string;
  severityNumber: number;
  severityText: string;
  body: WireValue;
  attributes: WireAttribute[];
  traceId?: string;
  spanId?: string;
}

/** Exports the lines of a log. Each is one JSON object, as pino writes them. */
export class LogExporter {
  /** Lines that were not exported since the start. */
  lost = 0;
  readonly #sender: OtlpSender;
  readonly #resource: { attributes: WireAttribute[] };
  readonly #exportEvery: number;
  readonly #lines: string[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** The exports that are under way. */
  #sending: Promise<void> | undefined;
  #isClosed = false;

  /** @param exportEvery milliseconds between exports. A full batch is sent at once. */
  constructor(sender: OtlpSender, resource: { attributes: WireAttribute[] }, exportEvery: number) {
    this.#sender = sender;
    this.#resource = resource;
    this.#exportEvery = exportEvery;
  }

  write(line: string): void {
    if (this.#isClosed || this.#lines.length >= maxWaiting) {
      this.lost += 1;
      return;
    }
    this.#lines.push(line);
    if (this.#lines.length >= maxBatch) void this.#flush();
    else this.#timer ??= setTimeout(() => void this.#flush(), this.#exportEvery).unref();
  }

  /** Exports the lines that wait, and stops. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#flush();
  }

  /** One request at a time: while a collector is slow, lines wait. */
  #flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    return (this.#sending ??= this.#sendAll().finally(() => (this.#sending = undefined)));
  }

  async #sendAll(): Promise<void> {
    while (this.#lines.length > 0) {
      const lines = this.#lines.splice(0, maxBatch);
      const logRecords = lines.flatMap(toRecord);
      const rejected = await this.#sender.send('logs', {
        resourceLogs: [{ resource: this.#resource, scopeLogs: [{ logRecords }] }],
      });
      this.lost += rejected === undefined ? lines.length : lines.length - logRecords.length + rejected;
    }
  }
}

/** @returns nothing for a line that is no JSON object */
function toRecord(line: string): LogRecord[] {
  const fields = parseObject(line);
  if (!fields) return [];
  // The service and the instance are attributes of the resource.
  const { level, time, msg, traceId, spanId, err, service: _service, instance: _instance, ...rest } = fields;
  const [, severityNumber, severityText] =
    severities.find(([lowest]) => Number(level) >= lowest) ?? severities[3];
  return [
    {
      timeUnixNano: toNanoseconds(Number(time) || Date.now()),
      severityNumber,
      severityText,
      body: { stringValue: cut(msg) },
      attributes: toWireAttributes({ ...rest, ...toException(err) }),
      ...(typeof traceId === 'string' && { traceId }),
      ...(typeof spanId === 'string' && { spanId }),
    },
  ];
}

const cut = (value: unknown): string => String(value ?? '').slice(0, maxTextLength);

/** An error with the names of OpenTelemetry's semantic conventions. */
function toException(err: unknown): Record<string, string> {
  if (typeof err !== 'object' || err === null) return {};
  const { type, message, stack } = err as Record<string, unknown>;
  return {
    'exception.type': cut(type),
    'exception.message': cut(message),
    'exception.stacktrace': cut(stack),
  };
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
