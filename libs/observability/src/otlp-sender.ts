import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { WireAttribute, WireValue } from './otlp/wire.ts';

/** Deeper parts of an object are left out, and longer texts are cut: log lines may have any data. */
const maxDepth = 5;
const maxTextLength = 8_000;

/** @returns no attribute for undefined and null, at any depth */
export const toWireAttributes = (values: Record<string, unknown>, depth = 0): WireAttribute[] =>
  Object.entries(values).flatMap(([key, value]) => {
    const wire = toWireValue(value, depth);
    return wire ? [{ key, value: wire }] : [];
  });

function toWireValue(value: unknown, depth: number): WireValue | undefined {
  if (typeof value === 'string') return { stringValue: value.slice(0, maxTextLength) };
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

  /** @returns the number of records that the collector rejected; undefined if it did not accept the export. Never rejects. */
  async send(signal: 'logs' | 'metrics', request: object): Promise<number | undefined> {
    try {
      const { status, text } = await this.#post(`${this.#url}/v1/${signal}`, JSON.stringify(request));
      return status < 300 ? readRejected(text) : undefined;
    } catch {
      return undefined;
    }
  }

  #post(url: string, body: string): Promise<{ status: number; text: string }> {
    const request = url.startsWith('https:') ? requestHttps : requestHttp;
    return new Promise((resolve, reject) => {
      const headers = {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        ...this.#headers,
      };
      const options = { method: 'POST', headers, signal: AbortSignal.timeout(this.#timeoutMs) };
      const outgoing = request(url, options, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          if (text.length < maxResponseLength) text += part;
        });
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode ?? 500, text }));
      });
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }
}

/** A response is `{}`, or says how much of the export was not accepted. */
const maxResponseLength = 10_000;

function readRejected(text: string): number {
  try {
    const { partialSuccess } = JSON.parse(text) as { partialSuccess?: Record<string, unknown> };
    return Number(partialSuccess?.['rejectedLogRecords'] ?? partialSuccess?.['rejectedDataPoints'] ?? 0) || 0;
  } catch {
    return 0;
  }
}
