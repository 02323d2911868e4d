import {
  validateHeaderValue,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { parse, type ParsedUrlQuery } from 'node:querystring';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { negotiate } from '@fastify/accept-negotiator';
import { childTrace, traceIdOf, type TraceContext } from '@jogakbo/messaging';
import type { Admitted } from './admission.ts';
import { requestIdOf } from './headers.ts';

/** Answers of so many bytes are compressed. */
const worthCompressing = 1_024;
const compressible = /^(text\/|application\/(json|xml|javascript|[\w.-]+\+(json|xml))|image\/svg\+xml)/;
const compress = {
  br: promisify(brotliCompress),
  gzip: promisify(gzip),
};
/** Of brotli's eleven, the one at which it takes as long as gzip, and gives less. */
const brotliOptions = { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } };

const none: ParsedUrlQuery = Object.freeze(Object.create(null) as ParsedUrlQuery);
const originOfUrl = /^https?:\/\/[^/?#]*/i;

/**
 * One request, and the answer to it. Node's own HTTP lies beneath, and no framework: of what a request costs here, most
 * would be the framework's.
 */
export class Exchange {
  readonly method: string;
  /** As it came, without the origin that a client may put before it. */
  readonly url: string;
  /** Without the query, percent-encoded. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly trace: TraceContext;
  readonly traceId: string;
  /** The client's own name for the request, or else the trace id. */
  readonly requestId: string;
  readonly startedAt = performance.now();
  /** The pattern of its route: never the path itself, which anybody can make up. */
  route = 'unknown';
  memberId: string | undefined;
  /** It was refused because there is too much to do: of these there is a number (`Load`), and no line each. */
  isShed = false;
  /** Set once it was let in. */
  admitted!: Admitted;
  /** Set once it was read: JSON, or a text where it goes to pages. */
  body: unknown;
  /** Names, in lower case, and values in turn: in this form Node takes it without looking anything up. */
  readonly #head: (string | string[])[];
  readonly #whenOver: (() => void)[] = [];

  /**
   * @param head what every answer says, names and values in turn
   * @param address where it comes from, as far as one can know
   * @param isLast whether the answer is to be the last on its connection, asked when it is sent
   */
  constructor(
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    head: readonly string[],
    readonly address: string,
    private readonly isLast: () => boolean,
  ) {
    const { method, url, headers } = request;
    this.method = method!;
    this.url = url!.startsWith('/') ? url! : url!.replace(originOfUrl, '');
    const query = this.url.indexOf('?');
    this.path = query < 0 ? this.url : this.url.slice(0, query);
    this.headers = headers;
    this.trace = childTrace(textOf(headers['traceparent']), textOf(headers['tracestate']));
    this.traceId = traceIdOf(this.trace.traceparent)!;
    this.requestId = requestIdOf(headers['x-request-id']) ?? this.traceId;
    this.#head = [...head, 'x-request-id', this.requestId];
    response.on('close', () => {
      for (const run of this.#whenOver) run();
    });
  }

  get query(): ParsedUrlQuery {
    return this.path.length === this.url.length ? none : parse(this.url.slice(this.path.length + 1));
  }

  /** Whether the client has gone, or was answered. */
  get isOver(): boolean {
    return this.response.destroyed;
  }

  /** What was answered; 499 where the client did not wait for it. */
  get status(): number {
    return this.response.headersSent ? this.response.statusCode : 499;
  }

  /** Runs when the answer is sent, or the client gone. */
  whenOver(run: () => void): void {
    this.#whenOver.push(run);
  }

  /**
   * Sets a header of the answer.
   * @param name in lower case
   * @throws TypeError where the value cannot stand in a header: nobody else finds that in time to say so
   */
  header(name: string, value: string | string[]): this {
    if (typeof value === 'string') validateHeaderValue(name, value);
    else value.forEach((one) => validateHeaderValue(name, one));
    const at = this.#find(name);
    if (at < 0) this.#head.push(name, value);
    else this.#head[at + 1] = value;
    return this;
  }

  /** Adds to a header of the answer that is a list, whoever began it. @throws TypeError like `header` */
  append(name: string, value: string): this {
    const at = this.#find(name);
    return this.header(name, at < 0 ? value : `${String(this.#head[at + 1])}, ${value}`);
  }

  setHeaders(headers: Readonly<Record<string, string>>): this {
    for (const name in headers) this.header(name, headers[name]!);
    return this;
  }

  #find(name: string): number {
    for (let at = 0; at < this.#head.length; at += 2) if (this.#head[at] === name) return at;
    return -1;
  }

  /** Answers with what it is given; without it, with status and headers alone. */
  send(status: number, content?: string | Buffer): void {
    if (content === undefined || status === 204 || status === 304) return this.#write(status);
    const length = Buffer.byteLength(content);
    if (length >= worthCompressing && status !== 206 && this.#isCompressible)
      this.#compress(status, content).catch((error: Error) => this.response.destroy(error));
    else this.#write(status, content, length);
  }

  json(status: number, value: unknown): void {
    this.header('content-type', 'application/json; charset=utf-8').send(status, JSON.stringify(value));
  }

  get #isCompressible(): boolean {
    const type = this.#head[this.#find('content-type') + 1];
    return this.#find('content-encoding') < 0 && typeof type === 'string' && compressible.test(type);
  }

  async #compress(status: number, content: string | Buffer): Promise<void> {
    this.append('vary', 'Accept-Encoding');
    const encoding = negotiate(String(this.headers['accept-encoding'] ?? ''), ['br', 'gzip']);
    if (!encoding) return this.#write(status, content, Buffer.byteLength(content));
    // How long it would be, only compressing it would tell.
    if (this.method === 'HEAD') return this.header('content-encoding', encoding).#write(status);
    const compressed = await compress[encoding](content, encoding === 'br' ? brotliOptions : {});
    this.header('content-encoding', encoding);
    this.#write(status, compressed, compressed.length);
  }

  /** Leaves the answer to somebody else, with what was said so far. */
  passTo(listener: RequestListener): void {
    if (this.isLast()) this.header('connection', 'close');
    for (let at = 0; at < this.#head.length; at += 2)
      this.response.setHeader(String(this.#head[at]), this.#head[at + 1]!);
    listener(this.request, this.response);
  }

  #write(status: number, content?: string | Buffer, length = 0): void {
    const { response } = this;
    if (response.headersSent || response.destroyed) return;
    if (content !== undefined || !(status === 204 || status === 304 || this.method === 'HEAD'))
      this.header('content-length', String(length));
    if (this.isLast()) this.header('connection', 'close');
    response.writeHead(status, this.#head as string[]).end(content);
  }
}

/** Node gives a list for no header but Set-Cookie; its types do not say so. */
const textOf = (value: string | string[] | undefined): string | undefined =>
  typeof value === 'string' ? value : undefined;
