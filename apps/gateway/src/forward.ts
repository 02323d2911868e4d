import { hash } from 'node:crypto';
import { Rejection } from '@jogakbo/contract';
import {
  BrokerAway,
  RabbitClient,
  RemoteFault,
  type CallContext,
  type RequestOptions,
} from '@jogakbo/messaging';
import { Metrics, SplitCalls } from '@jogakbo/service';
import { Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Counter } from 'prom-client';
import { appendHeader, idempotencyKeyOf, isNoneMatch, locationOf, secondsToWait } from './headers.ts';
import { HttpUpstreams } from './http-upstream.ts';
import { inputOf } from './input.ts';
import { KnownServices } from './known-services.ts';
import { languageOf } from './language.ts';
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

  /** Answers, or throws what `problemOf` knows how to show. */
  async handle(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    const { route, parameters, caller } = request.admitted;
    if (route.upstream === 'http') {
      return this.upstreams.forward(route, parameters, caller, request, reply);
    }
    if (route.pages) {
      this.#mustServe(route);
      return this.pages.answer(route, request, reply);
    }

    const { headers } = request;
    const input = inputOf(route, {
      parameters,
      query: request.query as Input,
      body: request.body,
      ifMatch: headers['if-match'],
    });
    const idempotencyKey = idempotencyKeyOf(route, headers['idempotency-key']);
    // Nothing of this comes from a header that a stranger could have written, but the trace and the language.
    const context: CallContext = {
      traceparent: request.facts.traceparent,
      language: languageOf(headers['accept-language']),
      ...(caller && { caller }),
      address: request.facts.address,
    };
    if (route.http.method === 'GET') return this.#read(route, input, context, request, reply);
    this.#mustServe(route);
    let mayHaveChanged = true;
    try {
      const output = await this.#ask(route, input, context, { idempotencyKey });
      describe(route, output, context, reply);
      return (await this.#whenEnded(route, output, context, request, reply)) ?? answer(route, output, reply);
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
    input: Input,
    context: CallContext,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<unknown> {
    const { http, contract, service } = route;
    const { caller, language } = context;
    const ask = async () => {
      // Whether it would be asked at all was not known at the door.
      if (http.cache) this.load.mustHaveRoom(route);
      return represent(route, await this.#askOrFallBack(route, input, context), language);
    };
    const insists = insistsOnNew(request.headers);
    let read: Representation;
    if (http.cache) {
      // What one version answered is not for those who meet another.
      const version = this.split.meantFor(service, context) ?? '';
      const key = `${contract.name} ${version} ${language} ${JSON.stringify(input)}`;
      const wish = { anew: caller !== undefined || insists, old: !insists };
      const { at, stale, ...kept } = await this.reads.read(service, key, http.cache, wish, ask);
      if (!wish.anew || stale !== undefined)
        reply.header('age', String(Math.floor((performance.now() - at) / 1_000)));
      if (stale !== undefined) {
        this.#degraded.inc({ route: route.pattern, how: 'stale' });
        reply.header('cache-status', `jogakbo; hit; ttl=${-Math.ceil(stale)}; detail=stale-if-error`);
      }
      read = kept;
    } else read = await ask();

    reply.header('cache-control', cacheControl(route, context)).header('etag', read.etag);
    if (!http.document) reply.header('content-language', language);
    if (!http.document) appendHeader(reply, 'vary', 'Accept-Language');
    if (http.cache) appendHeader(reply, 'vary', 'Authorization');
    if (isNoneMatch(request.headers['if-none-match'], read.etag)) return reply.code(304).send();
    return reply.code(http.status).type('application/json; charset=utf-8').send(read.text);
  }

  /** A read that has a fallback leaves it half of the time there is. */
  async #askOrFallBack(route: Route, input: Input, context: CallContext): Promise<Output | null> {
    const { fallback } = route;
    const { requestTimeout } = this.settings;
    const began = performance.now();
    try {
      this.#mustServe(route);
      return await this.#ask(route, input, context, { timeout: requestTimeout / (fallback ? 2 : 1) });
    } catch (error) {
      if (!fallback || !isAway(error)) throw error;
      this.#degraded.inc({ route: route.pattern, how: 'fallback' });
      if ('answer' in fallback) return fallback.answer;
      this.#mustServe({ ...fallback, upstream: 'bus' });
      return this.#ask(fallback, input, context, {
        timeout: requestTimeout - (performance.now() - began),
      });
    }
  }

  #ask(
    { contract, policy }: Pick<Route, 'contract' | 'policy'>,
    input: Input,
    context: CallContext,
    options: Pick<RequestOptions, 'timeout' | 'idempotencyKey'> = {},
  ): Promise<Output | null> {
    return this.client.request(contract.name, input, {
      ...{ context, policy, timeout: this.settings.requestTimeout },
      persistent: contract.kind === 'command',
      ...options,
    }) as Promise<Output | null>;
  }

  /** The answer of a client that prefers to wait; undefined where it does not, or waited in vain. */
  async #whenEnded(
    { http, policy }: Route,
    output: Output | null,
    context: CallContext,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<unknown> {
    const seconds = http.wait && output ? secondsToWait(request.headers['prefer']) : 0;
    if (!http.wait || !output || seconds === 0) return undefined;
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort('closed'));
    if (reply.raw.destroyed) gone.abort('closed');
    const ended = await this.waiting.end(http.wait, output, { seconds, context, policy, gone: gone.signal });
    reply.header('preference-applied', `wait=${seconds}`);
    return ended && reply.code(http.wait.status).send(ended);
  }
}

/** True for a "no", and for what was not even sent. */
const isWithoutEffect = (error: unknown): boolean =>
  error instanceof Rejection ||
  (error instanceof RemoteFault &&
    !error.answered &&
    !(error instanceof BrokerAway) &&
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
function describe({ http }: Route, output: Output | null, { language }: CallContext, reply: FastifyReply) {
  reply.header('cache-control', 'no-store');
  if (!output) return;
  reply.header('content-language', language);
  appendHeader(reply, 'vary', 'Accept-Language');
  if (http.etag) reply.header('etag', `"${String(output[http.etag])}.${language}"`);
  if (http.location) reply.header('location', locationOf(http.location, output));
}

function answer({ http }: Route, output: Output | null, reply: FastifyReply): unknown {
  return output === null ? reply.code(204).send() : reply.code(http.status).send(output);
}
