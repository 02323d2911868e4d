import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';

/** A value of OTLP's JSON encoding. */
export type WireValue =
  | { stringValue: string }
  | { boolValue: boolean }
  | { intValue: string }
  | { doubleValue: number }
  | { arrayValue: { values: WireValue[] } }
  | { kvlistValue: { values: WireAttribute[] } };
export interface WireAttribute {
  key: string;
  value: WireValue;
}

/** Deeper parts of an object are left out: log lines may have any data. */
const maxDepth = 5;

/** @returns no attribute for undefined and null, at any depth */
export const toWireAttributes = (values: Record<string, unknown>, depth = 0): WireAttribute[] =>
  Object.entries(values).flatMap(([key, value]) => {
    const wire = toWireValue(value, depth);
    return wire ? [{ key, value: wire }] : [];
  });

function toWireValue(value: unknown, depth: number): WireValue | undefined {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'number')
    return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
  if (typeof value !== 'object' || value === null || depth >= maxDepth) return undefined;
  if (!Array.isArray(value))
    return { kvlistValue: { values: toWireAttributes(value as Record<string, unknown>, depth + 1) } };
  const values = value.map((item) => toWireValue(item, depth + 1)).filter((item) => item !== undefined);
  return { arrayValue: { values } };
}

/** Nanoseconds since 1970, as OTLP's JSON has them. @param milliseconds since 1970 */
export const toNanoseconds = (milliseconds: number): string =>
  `${BigInt(Math.round(milliseconds * 1_000)) * 1_000n}`;

/** Sends exports in OTLP's JSON encoding over HTTP, which needs no library. */
export class OtlpSender {
  readonly #url: string;
  readonly #headers: Record<string, string>;
  readonly #timeoutMs: number;

  /** @param endpoint the base URL of a collector */
  constructor(endpoint: string, headers: Record<string, string>, timeoutMs: number) {
    this.#url = endpoint.replace(/\/+$/, '');
    this.#headers = headers;
    this.#timeoutMs = timeoutMs;
  }

  /** @returns whether the collector has accepted it. Never rejects. */
  send(signal: 'logs' | 'metrics', request: object): Promise<boolean> {
    const body = JSON.stringify(request);
    const url = `${this.#url}/v1/${signal}`;
    return new Promise((resolve) => {
      const outgoing = (url.startsWith('https:') ? requestHttps : requestHttp)(
        url,
        {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(body),
            ...this.#headers,
          },
          signal: AbortSignal.timeout(this.#timeoutMs),
        },
        (response) => {
          response.resume();
          response.on('error', () => resolve(false));
          response.on('end', () => resolve((response.statusCode ?? 500) < 300));
        },
      );
      outgoing.on('error', () => resolve(false));
      outgoing.end(body);
    });
  }
}
