import { currentCall, traceIdOf } from '@jogakbo/messaging';
import type { LoggerService } from '@nestjs/common';
import { pino, type Logger } from 'pino';

/** Never written, wherever in a logged object they stand. */
const secrets = ['password', 'accessToken', 'refreshToken', 'token', 'authorization', 'cookie'];

/** One JSON line per entry on standard output, each with the trace it belongs to. */
export function createLog(service: string, instance: string, level: string): Logger {
  return pino({
    level,
    base: { service, instance },
    redact: { paths: secrets.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[secret]' },
    mixin: () => {
      const traceId = traceIdOf(currentCall()?.traceparent);
      return traceId ? { traceId } : {};
    },
  });
}

/** Nest's own log through pino. */
export class NestLog implements LoggerService {
  constructor(private readonly pino: Logger) {}

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
    const context = rest.length > 0 ? rest.at(-1) : undefined;
    const detail = rest.length > 1 ? rest[0] : undefined;
    if (message instanceof Error) this.pino[level]({ context, err: message }, message.message);
    else if (message && typeof message === 'object')
      this.pino[level]({ context, ...message }, String(detail ?? ''));
    else this.pino[level]({ context, ...(detail !== undefined && { detail }) }, String(message));
  }
}
