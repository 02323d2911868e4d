import { currentCall, getTraceId, type HandledMessage } from '@jogakbo/messaging';
import type { LoggerService } from '@nestjs/common';
import { pino, stdSerializers, type DestinationStream, type Logger } from 'pino';

/** Never written, wherever in a logged object they stand. */
const secrets = [
  ...['password', 'token', 'accessToken', 'refreshToken', 'secret', 'clientSecret'],
  // As OAuth spells them (RFC 6749).
  ...['access_token', 'refresh_token', 'id_token', 'client_secret'],
  ...['authorization', 'cookie', 'set-cookie'],
];
/** One path for each depth at which a name may stand; `err.request.headers.cookie` is the deepest. */
const getPaths = (name: string): string[] =>
  ['', '*', '*.*', '*.*.*'].map((outer) =>
    name.includes('-') ? `${outer}["${name}"]` : `${outer}.${name}`.replace(/^\./, ''),
  );

/**
 * One JSON line per entry, each with the trace it belongs to.
 * @param to standard output, where it is not given
 */
export function createLog(
  { service, instance, level }: { service: string; instance: string; level: string },
  to?: DestinationStream,
): Logger {
  const options = {
    level,
    base: { service, instance },
    serializers: { err: withoutData },
    redact: { paths: secrets.flatMap(getPaths), censor: '[secret]' },
    mixin: () => {
      const traceId = getTraceId(currentCall()?.traceparent);
      return traceId ? { traceId } : {};
    },
  };
  return pino(options, to);
}

/** Fields of a database's error in which the values stand that it was about. */
const data = new Set(['parameters', 'detail', 'where', 'driverError']);

const withoutData = (error: Error): unknown => withoutFields(stdSerializers.err(error));

/** An error may hold others, which may hold others. What lies deeper may be a cycle, and holds no error any more. */
const deepest = 5;

const withoutFields = (value: unknown, depth = 0): unknown => {
  if (depth > deepest) return undefined;
  if (Array.isArray(value)) return value.map((item) => withoutFields(item, depth + 1));
  if (typeof value !== 'object' || value === null || value.constructor !== Object) return value;
  const kept = Object.entries(value).filter(([name]) => !data.has(name));
  return Object.fromEntries(kept.map(([name, field]) => [name, withoutFields(field, depth + 1)]));
};

/** Nest's own log through pino. */
export class NestLog implements LoggerService {
  /** For what needs no look for secrets, which copies all of it and takes ten times as long as the line itself. */
  readonly #unsearched: Logger;

  constructor(private readonly pino: Logger) {
    this.#unsearched = pino.child({}, { redact: [], level: 'trace' });
  }

  log = (message: unknown, ...rest: unknown[]) => this.#write('info', message, rest);
  error = (message: unknown, ...rest: unknown[]) => this.#write('error', message, rest);
  warn = (message: unknown, ...rest: unknown[]) => this.#write('warn', message, rest);
  debug = (message: unknown, ...rest: unknown[]) => this.#write('debug', message, rest);
  verbose = (message: unknown, ...rest: unknown[]) => this.#write('trace', message, rest);
  fatal = (message: unknown, ...rest: unknown[]) => this.#write('fatal', message, rest);

  /** Nest appends the context's name; what stands between is a text or, for errors, a stack. */
  #write(
    level: 'info' | 'error' | 'warn' | 'debug' | 'trace' | 'fatal',
    message: unknown,
    rest: unknown[],
  ): void {
    if (!this.pino.isLevelEnabled(level)) return;
    const context = rest.length > 0 ? rest.at(-1) : undefined;
    const detail = rest.length > 1 ? rest[0] : undefined;
    const log = isFlat(message) ? this.#unsearched : this.pino;
    if (message instanceof Error) this.pino[level]({ context, err: message }, message.message);
    else if (message && typeof message === 'object')
      log[level]({ context, ...message }, String(detail ?? ''));
    else this.pino[level]({ context, ...(detail !== undefined && { detail }) }, String(message));
  }
}

/** Whether it holds nothing but names and values, none of them a secret. */
const isFlat = (message: unknown): boolean =>
  message !== null &&
  typeof message === 'object' &&
  Object.entries(message).every(([name, value]) => typeof value !== 'object' && !secrets.includes(name));

/**
 * One line for each command and event, so that a trace shows every service that took part. Questions are too many for
 * that: theirs are for `debug`, as long as they are answered.
 */
export function logHandled(log: Logger, { name, kind, outcome, seconds }: HandledMessage): void {
  // Of messages that are refused because of their sender the transport logs how many there are.
  const isQuiet = outcome === 'quarantined' || (kind === 'query' && ['ok', 'rejection'].includes(outcome));
  const level = isQuiet ? 'debug' : 'info';
  if (!log.isLevelEnabled(level)) return;
  log[level]({ message: name, outcome, ms: Math.round(seconds * 100_000) / 100 }, `${name} ${outcome}`);
}
