import {
  validateHeaderValue,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { parse, type ParsedUrlQuery } from 'node:querystring';
import { getTraceId, type Caller, type Spans, type TraceContext } from '@jogakbo/messaging';
import { Logger } from '@nestjs/common';
import Negotiator from 'negotiator';
import { toCodingTag, isNotModified } from './conditional.ts';
import { readRequestId } from './headers.ts';
import { compress, type Coding, type Representation } from './representation.ts';
import { endRequestSpan, startRequestSpan } from './request-span.ts';
import type { Route } from './routes.ts';

/** Result of admission: the matched route, its parameters and the authenticated member. */
export interface Admitted {
  route: Route;
  parameters: Record<string, string>;
  caller: Caller | undefined;
}

const jsonType = 'application/json; charset=utf-8';
/** Minimum response size for compression, in bytes. */
const minCompressedBytes = 1_024;
const compressible = /^(text\/|application\/(json|xml|javascript|[\w.-]+\+(json|xml))|image\/svg\+xml)/;

const emptyQuery: ParsedUrlQuery = Object.freeze(Object.create(null) as ParsedUrlQuery);
/** Content codings in order of preference. */
const codings: Coding[] = ['br', 'gzip'];
/** The types of negotiator lack the second parameter. */
interface Encodings extends Negotiator {
  encodings(available?: string[], options?: { preferred: string[] }): string[];
}

const logger = new Logger('http');

/**
 * A request and its response. It uses Node's HTTP server without a framework, which would take most of the time of a
 * request.
 */
export class RequestContext {
  readonly method: string;
  /** Path and query, percent-encoded, as given to `setTarget`. */
  url = '';
  /** The URL without the query. */
  path = '';
  readonly headers: IncomingHttpHeaders;
  readonly trace: TraceContext;
  readonly traceId: string;
  /** The request id of the client, else the trace id. */
  readonly requestId: string;
  readonly startedAt = performance.now();
  /** The route pattern, for logs and metrics. Not the path, whose values are unbounded. */
  route = 'unknown';
  memberId: string | undefined;
  /** Rejected because of overload: counted by `Load`, not logged. */
  isShed = false;
  /** Requests for health, metrics and documents have no span: they would hide the others. */
  isUnrecorded = false;
  /** Whether the client waits for `100 Continue` before it sends the body. */
  awaitsContinue = false;
  /** Set after admission. */
  admitted!: Admitted;
  /** Set after the body is read: parsed JSON, or the text of a form for pages. */
  body: unknown;
  /** Lower-case names and values alternate, the form that Node writes fastest. */
  readonly #head: (string | string[])[];
  readonly #closeListeners: (() => void)[] = [];

  /**
   * @param head default response headers, names and values alternate
   * @param address client address
   * @param isLast whether the response is the last on its connection; called when it is sent
   * @param spans records the span of the request, unless `isUnrecorded`
   */
  constructor(
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    head: readonly string[],
    readonly address: string,
    private readonly isLast: () => boolean,
    spans: Spans,
  ) {
    const { method, headers } = request;
    this.method = method!;
    this.headers = headers;
    const span = startRequestSpan(spans, request);
    this.trace = span.trace;
    this.traceId = getTraceId(this.trace.traceparent)!;
    this.requestId = readRequestId(headers['x-request-id']) ?? this.traceId;
    this.#head = [...head, 'x-request-id', this.requestId];
    response.on('close', () => {
      for (const run of this.#closeListeners) run();
      if (!this.isUnrecorded) endRequestSpan(span, this);
    });
  }

  /** @param target path and query from `parseTarget` */
  setTarget(target: string): void {
    this.url = target;
    const query = target.indexOf('?');
    this.path = query < 0 ? target : target.slice(0, query);
  }

  get query(): ParsedUrlQuery {
    if (this.path.length === this.url.length) return emptyQuery;
    return parse(this.url.slice(this.path.length + 1), '&', '=', { maxKeys: 0 });
  }

  /** Whether the response was sent or the client is gone. */
  get isClosed(): boolean {
    return this.response.destroyed;
  }

  /** The response status; 499 if the client closed the connection first. */
  get status(): number {
    return this.response.headersSent ? this.response.statusCode : 499;
  }

  /** Registers a callback for when the response is sent or the client is gone. */
  onClose(run: () => void): void {
    this.#closeListeners.push(run);
  }

  /**
   * Sets a response header.
   * @param name in lower case
   * @throws TypeError if the value is invalid, while an error response can still be sent
   */
  header(name: string, value: string | string[]): this {
    if (typeof value === 'string') validateHeaderValue(name, value);
    else value.forEach((one) => validateHeaderValue(name, one));
    const at = this.#find(name);
    if (at < 0) this.#head.push(name, value);
    else this.#head[at + 1] = value;
    return this;
  }

  /** Adds a value to a list header, unless it is present. @throws TypeError like `header` */
  append(name: string, value: string): this {
    const at = this.#find(name);
    if (at < 0) return this.header(name, value);
    const list = String(this.#head[at + 1]);
    return list.split(', ').includes(value) ? this : this.header(name, `${list}, ${value}`);
  }

  setHeaders(headers: Readonly<Record<string, string>>): this {
    for (const name in headers) this.header(name, headers[name]!);
    return this;
  }

  #remove(name: string): void {
    const at = this.#find(name);
    if (at >= 0) this.#head.splice(at, 2);
  }

  #find(name: string): number {
    for (let at = 0; at < this.#head.length; at += 2) if (this.#head[at] === name) return at;
    return -1;
  }

  /** Sends the response, without content only status and headers. */
  send(status: number, content?: string | Buffer): void {
    if (content === undefined || status === 204 || status === 304) return this.#write(status);
    const coding = status === 206 ? undefined : this.chooseCoding(content);
    this.#deliver(status, content, coding, (coding) => compress(coding, content));
  }

  /**
   * Sends JSON, or 304 if the client already has it.
   * @param representation a strong ETag differs per content coding (RFC 9110, section 8.8.3.3)
   * @throws Rejection `precondition-failed`
   */
  sendRepresentation(status: number, representation: Representation): void {
    const { text, etag } = representation;
    this.header('content-type', jsonType);
    const coding = this.chooseCoding(text);
    if (!this.#answerNotModified(etag, coding))
      this.#deliver(status, text, coding, (coding) => representation.compress(coding));
  }

  /**
   * Sends a file of at least 1 KB, or 304 if the client already has it. Needs the content type.
   * @param etag as in `Representation`
   * @param read gets the content in this coding; called only if it is sent. Not Brotli, which takes four times the memory
   */
  sendFile(etag: string, read: (coding: 'gzip' | undefined) => Promise<Buffer>): void {
    const coding = this.#negotiateCoding(['gzip']) as 'gzip' | undefined;
    if (this.#answerNotModified(etag, coding)) return;
    if (coding) this.header('content-encoding', coding);
    if (this.method === 'HEAD') return this.#write(200);
    this.#writeWhenRead(200, read(coding));
  }

  /** Sets the ETag. @returns true if the client already has this version, and 304 was sent */
  #answerNotModified(etag: string, coding: Coding | undefined): boolean {
    const own = coding ? toCodingTag(etag, coding) : etag;
    const isCurrent = isNotModified(this.headers, own);
    this.header('etag', own);
    if (!isCurrent) return false;
    // A 304 omits representation headers that a cache does not need (RFC 9110, section 15.4.5).
    for (const name of ['content-type', 'content-language']) this.#remove(name);
    this.#write(304);
    return true;
  }

  json(status: number, value: unknown): void {
    this.header('content-type', jsonType).send(status, JSON.stringify(value));
  }

  get #isCompressible(): boolean {
    const type = this.#head[this.#find('content-type') + 1];
    return this.#find('content-encoding') < 0 && typeof type === 'string' && compressible.test(type);
  }

  /** Negotiates the content coding. Needs the content type. @returns undefined for none */
  chooseCoding(content: string | Buffer): Coding | undefined {
    return Buffer.byteLength(content) < minCompressedBytes ? undefined : this.#negotiateCoding();
  }

  #negotiateCoding(available: Coding[] = codings): Coding | undefined {
    if (!this.#isCompressible) return undefined;
    this.append('vary', 'Accept-Encoding');
    const { 'accept-encoding': accepted = '' } = this.headers;
    const wanted = new Negotiator({ headers: { 'accept-encoding': String(accepted) } }) as Encodings;
    const [coding] = wanted.encodings([...available, 'identity'], { preferred: available });
    return coding === 'identity' ? undefined : (coding as Coding | undefined);
  }

  #deliver(
    status: number,
    content: string | Buffer,
    coding: Coding | undefined,
    compressed: (coding: Coding) => Promise<Buffer>,
  ): void {
    if (!coding) return this.#write(status, content, Buffer.byteLength(content));
    this.header('content-encoding', coding);
    // The length is unknown without compressing.
    if (this.method === 'HEAD') return this.#write(status);
    this.#writeWhenRead(status, compressed(coding));
  }

  /** If the content cannot be read, the connection is closed without a response: the headers describe that content. */
  #writeWhenRead(status: number, reading: Promise<Buffer>): void {
    reading.then(
      (content) => this.#write(status, content, content.length),
      (error: Error) => {
        const { method, route, traceId } = this;
        logger.error({ err: error, route, traceId }, `${method} ${route} failed`);
        this.response.destroy(error);
      },
    );
  }

  /** Sends `100 Continue` once the request is admitted, because a rejected one needs no body (RFC 9110, section 10.1.1). */
  askForBody(): void {
    if (this.awaitsContinue) this.response.writeContinue();
    this.awaitsContinue = false;
  }

  /** Also while the client awaits `100 Continue`: it may or may not send the body after a final response. */
  get #mustClose(): boolean {
    return this.isLast() || this.awaitsContinue;
  }

  /** Lets another listener send the response, with the headers set so far. */
  delegateTo(listener: RequestListener): void {
    if (this.#mustClose) this.header('connection', 'close');
    for (let at = 0; at < this.#head.length; at += 2)
      this.response.setHeader(String(this.#head[at]), this.#head[at + 1]!);
    listener(this.request, this.response);
  }

  #write(status: number, content?: string | Buffer, length = 0): void {
    const { response } = this;
    if (response.headersSent || response.destroyed) return;
    if (content !== undefined || !(status === 204 || status === 304 || this.method === 'HEAD'))
      this.header('content-length', String(length));
    if (this.#mustClose) this.header('connection', 'close');
    response.writeHead(status, this.#head as string[]).end(content);
  }
}
