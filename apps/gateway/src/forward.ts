import { hash } from 'node:crypto';
import { Rejection } from '@jogakbo/contract';
import {
  BrokerDisconnected,
  RabbitClient,
  RemoteFault,
  toSplitKey,
  type CallContext,
  type RequestOptions,
} from '@jogakbo/messaging';
import { Metrics, SplitCalls } from '@jogakbo/service';
import { negotiateLanguage } from '@jogakbo/service/negotiate-language';
import { Injectable } from '@nestjs/common';
import { Counter } from 'prom-client';
import { parseVersions } from './conditional.ts';
import type { RequestContext } from './request-context.ts';
import { readIdempotencyKey, buildLocation, parseWaitSeconds } from './headers.ts';
import { HttpUpstreams } from './http-upstream.ts';
import { buildInput } from './input.ts';
import { KnownServices } from './known-services.ts';
import { Load } from './load.ts';
import { ServicePages } from './pages.ts';
import { isNoCache, isUnreachable, PublicReads } from './public-reads.ts';
import { Representation } from './representation.ts';
import type { Route } from './routes.ts';
import { GatewaySettings } from './settings.ts';
import { Completions } from './wait.ts';

type Input = Record<string, unknown>;
type Output = Record<string, unknown>;

/** Forwards an admitted request to its service and sends the response. */
@Injectable()
export class Forward {
  readonly #degraded: Counter;

  constructor(
    private readonly services: KnownServices,
    private readonly client: RabbitClient,
    private readonly completions: Completions,
    private readonly upstreams: HttpUpstreams,
    private readonly pages: ServicePages,
    private readonly reads: PublicReads,
    private readonly load: Load,
    private readonly split: SplitCalls,
    private readonly settings: GatewaySettings,
    metrics: Metrics,
  ) {
    this.#degraded = new Counter({
      name: 'http_answers_degraded_total',
      help: 'Reads whose service was unreachable, answered by a fallback or a stale cached response.',
      labelNames: ['route', 'how'],
      registers: [metrics.registry],
    });
  }

  /**
   * Checks the headers and that the service is available, before the body is read.
   * @throws Rejection @throws RemoteFault
   */
  mustBeAnswerable({ admitted: { route }, headers }: RequestContext): void {
    if (route.upstream === 'http' || route.http.method === 'GET' || route.pages) return;
    readIdempotencyKey(route, headers['idempotency-key']);
    if (route.http.ifMatch) parseVersions(headers['if-match']);
    this.#mustServe(route);
  }

  /** Sends the response, or throws an error that `toProblem` maps to one. */
  async handle(context: RequestContext): Promise<void> {
    const { route, parameters, caller } = context.admitted;
    if (route.upstream === 'http') return this.upstreams.forward(route, parameters, caller, context);
    if (route.pages) {
      this.#mustServe(route);
      return this.pages.answer(route, context);
    }

    const { headers } = context;
    // Only the trace and the language come from client headers, which are untrusted.
    const callContext: CallContext = {
      ...context.trace,
      language: negotiateLanguage(headers['accept-language'], this.settings.languages),
      ...(caller && { caller }),
      address: context.address,
      splitKey: toSplitKey(caller?.memberId ?? context.address),
    };
    const readInput = (): Input =>
      buildInput(route, {
        parameters,
        query: context.query,
        body: context.body,
        ifMatch: headers['if-match'],
      });
    if (route.http.method === 'GET') return this.#read(route, readInput, callContext, context);
    const input = readInput();
    const idempotencyKey = readIdempotencyKey(route, headers['idempotency-key']);
    this.#mustServe(route);
    let mayHaveChanged = true;
    try {
      const output = await this.#call(route, input, callContext, { idempotencyKey });
      setResultHeaders(route, output, callContext, context);
      const ended = await this.#waitForEnd(route, output, callContext, context);
      if (ended) context.json(route.http.wait!.status, ended);
      else if (output === null) context.send(204);
      else context.json(route.http.status, output);
    } catch (error) {
      mayHaveChanged = !isWithoutEffect(error);
      throw error;
    } finally {
      if (mayHaveChanged) this.reads.invalidate(route.service);
    }
  }

  /** Fails fast. @throws RemoteFault `unavailable` */
  #mustServe(route: Pick<Route, 'service' | 'upstream'>): void {
    if (!this.services.serves(route)) throw new RemoteFault('unavailable', 'the service has no instances');
  }

  /**
   * Members, and clients that send `Cache-Control: no-cache`, get a fresh response. While the service is unreachable, all
   * but no-cache clients get the last cached response, marked as stale (RFC 9211).
   */
  async #read(
    route: Route,
    readInput: () => Input,
    callContext: CallContext,
    context: RequestContext,
  ): Promise<void> {
    const { http, contract, service } = route;
    const { caller, language } = callContext;
    const load = async (input: Input) => {
      // Checked here because admission cannot know whether the cache has the response.
      if (http.cache) this.load.mustHaveCapacity(route);
      return represent(route, await this.#callOrFallBack(route, input, callContext), language);
    };
    const noCache = isNoCache(context.headers);
    // Responses are shared only within the same side of every traffic split, also of services further down.
    const variant = `${this.split.describeVersions(callContext)} ${language}`;
    let read: Representation;
    if (http.cache) {
      const input = readInput();
      const key = `${variant} ${contract.name} ${JSON.stringify(input)}`;
      const wants = { fresh: caller !== undefined || noCache, allowStale: !noCache };
      const { representation, at, stale } = await this.reads.read(service, key, http.cache, wants, () =>
        load(input),
      );
      if (!wants.fresh || stale !== undefined)
        context.header('age', String(Math.floor((performance.now() - at) / 1_000)));
      if (stale !== undefined) {
        this.#degraded.inc({ route: route.pattern, how: 'stale' });
        context.header('cache-status', `jogakbo; hit; ttl=${-Math.ceil(stale)}; detail=stale-if-error`);
      }
      read = representation;
    } else if (isShareable(route) && !caller && !noCache)
      read = await this.reads.coalesce(`${variant} ${context.url}`, async () => load(readInput()));
    else read = await load(readInput());

    context.header('cache-control', cacheControl(route, callContext));
    if (!http.document) context.header('content-language', language).append('vary', 'Accept-Language');
    if (http.cache) context.append('vary', 'Authorization');
    context.sendRepresentation(http.status, read);
  }

  /** Reserves half of the request timeout for the fallback, if there is one. */
  async #callOrFallBack(route: Route, input: Input, callContext: CallContext): Promise<Output | null> {
    const { fallback } = route;
    const { requestTimeout } = this.settings;
    const began = performance.now();
    try {
      this.#mustServe(route);
      return await this.#call(route, input, callContext, { timeout: requestTimeout / (fallback ? 2 : 1) });
    } catch (error) {
      if (!fallback || !isUnreachable(error)) throw error;
      this.#degraded.inc({ route: route.pattern, how: 'fallback' });
      if ('answer' in fallback) return fallback.answer;
      this.#mustServe({ ...fallback, upstream: 'bus' });
      return this.#call(fallback, input, callContext, {
        timeout: requestTimeout - (performance.now() - began),
      });
    }
  }

  #call(
    { contract, policy }: Pick<Route, 'contract' | 'policy'>,
    input: Input,
    callContext: CallContext,
    options: Pick<RequestOptions, 'timeout' | 'idempotencyKey'> = {},
  ): Promise<Output | null> {
    return this.client.request(contract.name, input, {
      context: callContext,
      policy,
      timeout: this.settings.requestTimeout,
      kind: contract.kind,
      sensitive: contract.sensitive,
      ...options,
    }) as Promise<Output | null>;
  }

  /** Waits for the final result if the client sends `Prefer: wait`; undefined without it or after the time is over. */
  async #waitForEnd(
    { http, policy }: Route,
    output: Output | null,
    callContext: CallContext,
    context: RequestContext,
  ): Promise<Output | undefined> {
    const seconds = http.wait && output ? parseWaitSeconds(context.headers['prefer']) : 0;
    if (!http.wait || !output || seconds === 0) return undefined;
    const gone = new AbortController();
    context.onClose(() => gone.abort('closed'));
    if (context.isClosed) gone.abort('closed');
    const ended = await this.completions.waitFor(http.wait, output, {
      seconds,
      context: callContext,
      policy,
      gone: gone.signal,
    });
    context.header('preference-applied', `wait=${seconds}`);
    return ended;
  }
}

/** Whether anonymous requests of one event-loop iteration may share a call. It must be sent at the end of the iteration. */
const isShareable = ({ access, contract, policy, fallback }: Route): boolean =>
  access === 'public' &&
  contract.kind === 'query' &&
  policy.batches &&
  (!fallback || 'answer' in fallback || fallback.policy.batches);

/** True if the service rejected the request or never received it. */
const isWithoutEffect = (error: unknown): boolean =>
  error instanceof Rejection ||
  (error instanceof RemoteFault &&
    !error.answered &&
    !(error instanceof BrokerDisconnected) &&
    (error.code === 'overloaded' || error.code === 'unavailable'));

/** A response with its ETag: the version field that the contract names plus the language, or a digest of the body. */
function represent({ http }: Route, output: Output | null, language: string): Representation {
  const text = JSON.stringify(output);
  const version = http.etag && output?.[http.etag];
  const etag = version
    ? `"${String(version)}.${language}"`
    : `W/"${hash('sha1', text, 'base64url')}.${language}"`;
  return new Representation(text, etag);
}

/** Responses that depend on the caller are never cached; others are revalidated or cached as the contract says. */
function cacheControl({ access, http }: Route, { caller }: CallContext): string {
  if (access !== 'public') return 'no-store';
  if (!http.cache) return 'no-cache';
  return caller ? 'private, no-cache' : `public, max-age=${http.cache.maxAge}`;
}

/** Sets the headers that describe the result of a command. */
function setResultHeaders(
  { http }: Route,
  output: Output | null,
  { language }: CallContext,
  context: RequestContext,
) {
  context.header('cache-control', 'no-store');
  if (!output) return;
  context.header('content-language', language).append('vary', 'Accept-Language');
  if (http.etag) context.header('etag', `"${String(output[http.etag])}.${language}"`);
  if (http.location) context.header('location', buildLocation(http.location, output));
}
