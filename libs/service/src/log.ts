import { AsyncLocalStorage } from 'node:async_hooks';
import { currentCall, getSpanId, getTraceId, type HandledMessage } from '@jogakbo/messaging';
import type { LoggerService } from '@nestjs/common';
import { pino, stdSerializers, symbols, type DestinationStream, type Logger } from 'pino';

/** Names of fields that are never logged, at any place in an object. */
const secrets = [
  'password',
  'token',
  'accessToken',
  'refreshToken',
  'secret',
  'clientSecret',
  'authorization',
  'cookie',
  'set-cookie',
  // Names of OAuth (RFC 6749).
  'access_token',
  'refresh_token',
  'id_token',
  'client_secret',
];
/** One redaction path per depth; `err.request.headers.cookie` is the deepest. */
const getPaths = (name: string): string[] =>
  ['', '*', '*.*', '*.*.*'].map((outer) =>
    name.includes('-') ? `${outer}["${name}"]` : `${outer}.${name}`.replace(/^\./, ''),
  );

/**
 * One JSON line per entry, each with the trace and the span it belongs to, without secrets and e-mail addresses.
 * @param to by default standard output
 * @param exporter gets each line too
 */
export function createLog(
  { service, instance, level }: { service: string; instance: string; level: string },
  to: DestinationStream = getStandardOutput(),
  exporter?: DestinationStream,
): Logger {
  const options = {
    level,
    base: { service, instance },
    serializers: { err: withoutData },
    redact: { paths: secrets.flatMap(getPaths), censor: '[secret]' },
    mixin: () => {
      const traceparent = currentCall()?.traceparent;
      const traceId = getTraceId(traceparent);
      return traceId ? { traceId, spanId: getSpanId(traceparent) } : {};
    },
  };
  const write = (text: string) => {
    const line = maskAddresses(text);
    to.write(line);
    exporter?.write(line);
  };
  return pino(options, { write });
}

/** The destination that pino has by default: it survives the end of the process that reads it. */
const getStandardOutput = (): DestinationStream =>
  (pino() as unknown as Record<symbol, DestinationStream>)[symbols.streamSym]!;

/** An e-mail address, which the message of an error may quote. The last part of its domain is a name: versions are no addresses. */
const address =
  /[\p{L}\p{N}.!#$%&'*+/=?^_`{|}~-]{1,64}@[\p{L}\p{N}-]{1,63}(?:\.[\p{L}\p{N}-]{1,63})*\.\p{L}{2,63}/gu;

const maskAddresses = (line: string): string =>
  line.includes('@') ? line.replace(address, '[e-mail]') : line;

/** Fields of a database error that contain values of the query. */
const data = new Set(['parameters', 'detail', 'where', 'driverError']);

const withoutData = (error: Error): unknown => withoutFields(stdSerializers.err(error));

/** Errors can be nested. Deeper levels are dropped, because they may be cyclic. */
const deepest = 5;

const withoutFields = (value: unknown, depth = 0): unknown => {
  if (depth > deepest) return undefined;
  if (Array.isArray(value)) return value.map((item) => withoutFields(item, depth + 1));
  if (typeof value !== 'object' || value === null || value.constructor !== Object) return value;
  const kept = Object.entries(value).filter(([name]) => !data.has(name));
  return Object.fromEntries(kept.map(([name, field]) => [name, withoutFields(field, depth + 1)]));
};

type Level = 'info' | 'error' | 'warn' | 'debug' | 'trace' | 'fatal';

// One for the process: in dense mode each main.js contains its own copy of this library, while all of them share Nest.
const key = Symbol.for('jogakbo.instance-log');
const shared = globalThis as { [key]?: AsyncLocalStorage<NestLog> };
/** The log of the instance that runs the current code. */
const instanceLog = (shared[key] ??= new AsyncLocalStorage());

/**
 * Nest's own log through pino. Nest has one logger for the whole process, that of its last application. Code that `runWith`
 * started, with all that it causes, writes to its own log instead.
 */
export class NestLog implements LoggerService {
  /** Without redaction, which copies the object and takes ten times as long as the line itself. */
  readonly #unredacted: Logger;

  constructor(private readonly pino: Logger) {
    this.#unredacted = pino.child({}, { redact: [], level: 'trace' });
  }

  runWith<T>(body: () => T): T {
    return instanceLog.run(this, body);
  }

  /** Whether `runWith` started the current code. */
  isRunning(): boolean {
    return instanceLog.getStore() === this;
  }

  log = (message: unknown, ...rest: unknown[]) => this.#write('info', message, rest);
  error = (message: unknown, ...rest: unknown[]) => this.#write('error', message, rest);
  warn = (message: unknown, ...rest: unknown[]) => this.#write('warn', message, rest);
  debug = (message: unknown, ...rest: unknown[]) => this.#write('debug', message, rest);
  verbose = (message: unknown, ...rest: unknown[]) => this.#write('trace', message, rest);
  fatal = (message: unknown, ...rest: unknown[]) => this.#write('fatal', message, rest);

  /** Nest appends the name of the context. An argument before it is a text or, for errors, a stack. */
  #write(level: Level, message: unknown, rest: unknown[]): void {
    const log = instanceLog.getStore() ?? this;
    log.writeOwn(level, message, rest);
  }

  /** Not private to the class, because `log` above may be of another copy of it. */
  writeOwn(level: Level, message: unknown, rest: unknown[]): void {
    if (!this.pino.isLevelEnabled(level)) return;
    const context = rest.length > 0 ? rest.at(-1) : undefined;
    const detail = rest.length > 1 ? rest[0] : undefined;
    const log = isFlat(message) ? this.#unredacted : this.pino;
    if (message instanceof Error) this.pino[level]({ context, err: message }, message.message);
    else if (message && typeof message === 'object')
      log[level]({ context, ...message }, String(detail ?? ''));
    else this.pino[level]({ context, ...(detail !== undefined && { detail }) }, String(message));
  }
}

/** Whether an object contains only plain values, and no secret. */
const isFlat = (message: unknown): boolean =>
  message !== null &&
  typeof message === 'object' &&
  Object.entries(message).every(([name, value]) => typeof value !== 'object' && !secrets.includes(name));

/**
 * Logs one line per command and event, so that a trace shows every service that took part. Queries are too frequent for
 * that: they are logged at `debug`, unless they fail.
 */
export function logHandled(log: Logger, { name, kind, outcome, seconds }: HandledMessage): void {
  // The transport logs the number of messages that are rejected because of their sender.
  const isQuiet = outcome === 'unauthorized' || (kind === 'query' && ['ok', 'rejection'].includes(outcome));
  const level = isQuiet ? 'debug' : 'info';
  if (!log.isLevelEnabled(level)) return;
  log[level]({ message: name, outcome, ms: Math.round(seconds * 100_000) / 100 }, `${name} ${outcome}`);
}
