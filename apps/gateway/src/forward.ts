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
import { Injectable } from '@nestjs/common';
import { Counter } from 'prom-client';
import { parseVersions } from './conditional.ts';
import type { RequestContext } from './request-context.ts';
import { readIdempotencyKey, buildLocation, secondsToWait } from './headers.ts';
import { HttpUpstreams } from './http-upstream.ts';
import { buildInput } from './input.ts';
import { KnownServices } from './known-services.ts';
import { negotiateLanguage } from './language.ts';
import { Load } from './load.ts';
import { PagesOfServices } from './pages.ts';
import { insistsOnNew, isAway, PublicReads, type Representation } from './public-reads.ts';
import type { Route } from './routes.ts';
import { GatewaySettings } from './settings.ts';
import { Waiting } from './wait.ts';

type Input = Record<string, unknown>;
type Output = Record<string, unknown>;

/** Takes one request that was let in to the service that answers it, and the answer back. */
@Injectable()
export class Forward {
  readonly #degraded: Counter;

  constructor(
    private readonly services: KnownServices,
    private readonly client: RabbitClient,
    private readonly waiting: Waiting,
    private readonly upstreams: HttpUpstreams,
    private readonly pages: PagesOfServices,
    private readonly reads: PublicReads,
    private readonly load: Load,
    private readonly split: SplitCalls,
    private readonly settings: GatewaySettings,
    metrics: Metrics,
  ) {
    this.#degraded = new Counter({
      name: 'http_answers_degraded_total',
      help: 'Reads whose service did not answer, and that were answered by its fallback or with what was known before.',
      labelNames: ['route', 'how'],
      registers: [metrics.registry],
    });
  }

  /**
   * Refuses by the headers and by what is served now, before the body is read.
   * @throws Rejection @throws RemoteFault
   */
  mustBeAnswerable({ admitted: { route }, headers }: RequestContext): void {
    if (route.upstream === 'http' || route.http.method === 'GET' || route.pages) return;
    readIdempotencyKey(route, headers['idempotency-key']);
    if (route.http.ifMatch) parseVersions(headers['if-match']);
    this.#mustServe(route);
  }

  /** Answers, or throws what `problemOf` knows how to show. */
  async handle(context: RequestContext): Promise<void> {
    const { route, parameters, caller } = context.admitted;
    if (route.upstream === 'http') return this.upstreams.forward(route, parameters, caller, context);
    if (route.pages) {
      this.#mustServe(route);
      return this.pages.answer(route, context);
    }

    const { headers } = context;
    // Nothing of this comes from a header that a stranger could have written, but the trace and the language.
    const callContext: CallContext = {
      ...context.trace,
      language: negotiateLanguage(headers['accept-language']),
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
      const output = await this.#ask(route, input, callContext, { idempotencyKey });
      describe(route, output, callContext, context);
      const ended = await this.#whenEnded(route, output, callContext, context);
      if (ended) context.json(route.http.wait!.status, ended);
      else if (output === null) context.send(204);
      else context.json(route.http.status, output);
    } catch (error) {
      mayHaveChanged = !isWithoutEffect(error);
      throw error;
    } finally {
      if (mayHaveChanged) this.reads.changed(route.service);
    }
  }

  /** @throws RemoteFault `unavailable`, at once */
  #mustServe(route: Pick<Route, 'service' | 'upstream'>): void {
    if (!this.services.serves(route)) throw new RemoteFault('unavailable', 'nobody serves it now');
  }

  /**
   * Whoever is signed in gets what is true now; so does whoever asks for it (`Cache-Control: no-cache`), and nothing else.
   * While the service does not answer, others get the last answer that was, and are told so (RFC 9211).
   */
  async #read(
    route: Route,
    readInput: () => Input,
    callContext: CallContext,
    context: RequestContext,
  ): Promise<void> {
    const { http, contract, service } = route;
    const { caller, language } = callContext;
    const ask = async (input: Input) => {
      // Admission could not know whether the service would be called at all.
      if (http.cache) this.load.mustHaveRoom(route);
      return represent(route, await this.#askOrFallBack(route, input, callContext), language);
    };
    const insists = insistsOnNew(context.headers);
    // What one version answered is not for those who meet another, there or at a service that it asks.
    const meant = `${this.split.describeSides(callContext)} ${language}`;
    let read: Representation;
    if (http.cache) {
      const input = readInput();
      const key = `${meant} ${contract.name} ${JSON.stringify(input)}`;
      const wish = { anew: caller !== undefined || insists, old: !insists };
      const { at, stale, ...kept } = await this.reads.read(service, key, http.cache, wish, () => ask(input));
      if (!wish.anew || stale !== undefined)
        context.header('age', String(Math.floor((performance.now() - at) / 1_000)));
      if (stale !== undefined) {
        this.#degraded.inc({ route: route.pattern, how: 'stale' });
        context.header('cache-status', `jogakbo; hit; ttl=${-Math.ceil(stale)}; detail=stale-if-error`);
      }
      read = kept;
    } else if (isForAll(route) && !caller && !insists)
      read = await this.reads.now(`${meant} ${context.url}`, async () => ask(readInput()));
    else read = await ask(readInput());

    context.header('cache-control', cacheControl(route, callContext));
    if (!http.document) context.header('content-language', language).append('vary', 'Accept-Language');
    if (http.cache) context.append('vary', 'Authorization');
    context.sendRepresentation(http.status, read.text, read.etag);
  }

  /** A read that has a fallback leaves it half of the time there is. */
  async #askOrFallBack(route: Route, input: Input, callContext: CallContext): Promise<Output | null> {
    const { fallback } = route;
    const { requestTimeout } = this.settings;
    const began = performance.now();
    try {
      this.#mustServe(route);
      return await this.#ask(route, input, callContext, { timeout: requestTimeout / (fallback ? 2 : 1) });
    } catch (error) {
      if (!fallback || !isAway(error)) throw error;
      this.#degraded.inc({ route: route.pattern, how: 'fallback' });
      if ('answer' in fallback) return fallback.answer;
      this.#mustServe({ ...fallback, upstream: 'bus' });
      return this.#ask(fallback, input, callContext, {
        timeout: requestTimeout - (performance.now() - began),
      });
    }
  }

  #ask(
    { contract, policy }: Pick<Route, 'contract' | 'policy'>,
    input: Input,
    callContext: CallContext,
    options: Pick<RequestOptions, 'timeout' | 'idempotencyKey'> = {},
  ): Promise<Output | null> {
    return this.client.request(contract.name, input, {
      ...{ callContext, policy, timeout: this.settings.requestTimeout },
      persistent: contract.kind === 'command',
      sensitive: contract.sensitive,
      ...options,
    }) as Promise<Output | null>;
  }

  /** How it ended, for a client that prefers to wait; undefined where it does not, or waited in vain. */
  async #whenEnded(
    { http, policy }: Route,
    output: Output | null,
    callContext: CallContext,
    context: RequestContext,
  ): Promise<Output | undefined> {
    const seconds = http.wait && output ? secondsToWait(context.headers['prefer']) : 0;
    if (!http.wait || !output || seconds === 0) return undefined;
    const gone = new AbortController();
    context.whenOver(() => gone.abort('closed'));
    if (context.isOver) gone.abort('closed');
    const ended = await this.waiting.end(http.wait, output, {
      seconds,
      context: callContext,
      policy,
      gone: gone.signal,
    });
    context.header('preference-applied', `wait=${seconds}`);
    return ended;
  }
}

/** Whether it is answered the same to all who are not signed in, and asked no earlier than at the end of a turn. */
const isForAll = ({ access, contract, policy, fallback }: Route): boolean =>
  access === 'public' &&
  contract.kind === 'query' &&
  policy.batches &&
  (!fallback || 'answer' in fallback || fallback.policy.batches);

/** True for a "no", and for what was not even sent. */
const isWithoutEffect = (error: unknown): boolean =>
  error instanceof Rejection ||
  (error instanceof RemoteFault &&
    !error.answered &&
    !(error instanceof BrokerDisconnected) &&
    (error.code === 'overloaded' || error.code === 'unavailable'));

/** An answer with its ETag: the version that the contract names, in this language, or else a digest of the answer. */
function represent({ http }: Route, output: Output | null, language: string): Representation {
  const text = JSON.stringify(output);
  const version = http.etag && output?.[http.etag];
  const etag = version
    ? `"${String(version)}.${language}"`
    : `W/"${hash('sha1', text, 'base64url')}.${language}"`;
  return { text, etag };
}

/** What depends on the caller is kept by nobody; the rest is asked for again, or kept for as long as the contract says. */
function cacheControl({ access, http }: Route, { caller }: CallContext): string {
  if (access !== 'public') return 'no-store';
  if (!http.cache) return 'no-cache';
  return caller ? 'private, no-cache' : `public, max-age=${http.cache.maxAge}`;
}

/** The headers that speak of what a command made. */
function describe(
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
