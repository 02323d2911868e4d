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
import { childTrace, getTraceId, type TraceContext } from '@jogakbo/messaging';
import Negotiator from 'negotiator';
import type { Admitted } from './admission.ts';
import { inCoding, isNotModified } from './conditional.ts';
import { readRequestId } from './headers.ts';

const jsonType = 'application/json; charset=utf-8';
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
/** Content codings, the best first. */
const codings = ['br', 'gzip'];
type Coding = 'br' | 'gzip';
/** Its types lack the second parameter. */
interface Encodings extends Negotiator {
  encodings(available?: string[], options?: { preferred: string[] }): string[];
}

/**
 * One request, and the answer to it. Node's own HTTP lies beneath, and no framework: of what a request costs here, most
 * would be the framework's.
 */
export class RequestContext {
  readonly method: string;
  /** Path and query, percent-encoded, as `setTarget` was given them. */
  url = '';
  /** Without the query. */
  path = '';
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
  /** Whether the client waits for `100 Continue` before it sends the body. */
  awaitsContinue = false;
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
    const { method, headers } = request;
    this.method = method!;
    this.headers = headers;
    this.trace = childTrace(getText(headers['traceparent']), getText(headers['tracestate']));
    this.traceId = getTraceId(this.trace.traceparent)!;
    this.requestId = readRequestId(headers['x-request-id']) ?? this.traceId;
    this.#head = [...head, 'x-request-id', this.requestId];
    response.on('close', () => {
      for (const run of this.#whenOver) run();
    });
  }

  /** @param target path and query; see `targetOf` */
  setTarget(target: string): void {
    this.url = target;
    const query = target.indexOf('?');
    this.path = query < 0 ? target : target.slice(0, query);
  }

  get query(): ParsedUrlQuery {
    if (this.path.length === this.url.length) return none;
    return parse(this.url.slice(this.path.length + 1), '&', '=', { maxKeys: 0 });
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

  /** Adds to a header of the answer that is a list, once. @throws TypeError like `header` */
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

  /** Answers with what it is given; without it, with status and headers alone. */
  send(status: number, content?: string | Buffer): void {
    if (content === undefined || status === 204 || status === 304) return this.#write(status);
    this.#deliver(status, content, status === 206 ? undefined : this.chooseCoding(content));
  }

  /**
   * Answers a read with JSON: with 304 where the client has it already.
   * @param etag of its version; where it is strong, each content coding gets one of its own (RFC 9110, section 8.8.3.3)
   * @throws Rejection `precondition-failed`
   */
  sendRepresentation(status: number, json: string, etag: string): void {
    this.header('content-type', jsonType);
    const coding = this.chooseCoding(json);
    const own = coding ? inCoding(etag, coding) : etag;
    if (!isNotModified(this.headers, own)) return this.header('etag', own).#deliver(status, json, coding);
    // A 304 says nothing of the content but what helps a cache (RFC 9110, section 15.4.5).
    for (const name of ['content-type', 'content-language']) this.#remove(name);
    this.header('etag', own).#write(304);
  }

  json(status: number, value: unknown): void {
    this.header('content-type', jsonType).send(status, JSON.stringify(value));
  }

  get #isCompressible(): boolean {
    const type = this.#head[this.#find('content-type') + 1];
    return this.#find('content-encoding') < 0 && typeof type === 'string' && compressible.test(type);
  }

  /** The content coding to answer in, for a content type that is set. @returns undefined for none */
  chooseCoding(content: string | Buffer): Coding | undefined {
    if (Buffer.byteLength(content) < worthCompressing || !this.#isCompressible) return undefined;
    this.append('vary', 'Accept-Encoding');
    const { 'accept-encoding': accepted = '' } = this.headers;
    const wanted = new Negotiator({ headers: { 'accept-encoding': String(accepted) } }) as Encodings;
    const [coding] = wanted.encodings([...codings, 'identity'], { preferred: codings });
    return coding === 'identity' ? undefined : (coding as Coding | undefined);
  }

  #deliver(status: number, content: string | Buffer, coding: Coding | undefined): void {
    if (!coding) return this.#write(status, content, Buffer.byteLength(content));
    this.header('content-encoding', coding);
    // How long it would be, only compressing it would tell.
    if (this.method === 'HEAD') return this.#write(status);
    compress[coding](content, coding === 'br' ? brotliOptions : {}).then(
      (compressed) => this.#write(status, compressed, compressed.length),
      (error: Error) => this.response.destroy(error),
    );
  }

  /** Asks for the body. Not earlier: what is known to be refused needs none (RFC 9110, section 10.1.1). */
  askForBody(): void {
    if (this.awaitsContinue) this.response.writeContinue();
    this.awaitsContinue = false;
  }

  /** Whether the client may send a body that was not asked for, or nothing at all, cannot be known. */
  get #mustClose(): boolean {
    return this.isLast() || this.awaitsContinue;
  }

  /** Leaves the answer to somebody else, with what was said so far. */
  passTo(listener: RequestListener): void {
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

/** Node gives a list for no header but Set-Cookie; its types do not say so. */
const getText = (value: string | string[] | undefined): string | undefined =>
  typeof value === 'string' ? value : undefined;
