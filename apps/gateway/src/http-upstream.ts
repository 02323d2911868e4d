import { type Announcement } from '@jogakbo/contract';
import {
  RemoteFault,
  Spans,
  toErrorType,
  toSplitKey,
  type Caller,
  type TraceContext,
} from '@jogakbo/messaging';
import { Metrics, PlatformSettings, SplitCalls } from '@jogakbo/service';
import { toEndpoint, toEndpoints, UpstreamAddresses } from '@jogakbo/service/upstream-addresses';
import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { Counter, Gauge } from 'prom-client';
import type { RequestContext } from './request-context.ts';
import { buildRequest, sendResponse, type UpstreamRequest, type UpstreamReply } from './http-translation.ts';
import { KnownServices } from './known-services.ts';
import { MemberAssertions } from './member-assertion.ts';
import type { Route } from './routes.ts';
import { GatewaySettings } from './settings.ts';
import { UpstreamAgents } from './upstream-agents.ts';
import { UpstreamBulkheads, type Permit } from './upstream-bulkheads.ts';
import { recordOutcome, type Outcome, type UpstreamHealth } from './upstream-health.ts';
import { AttemptFailed, toOutcome, toThrown } from './upstream-outcome.ts';

/** Maximum number of instances tried for one request. */
const maxAttempts = 3;
/** Limits the buffered responses of a service to this many times RESPONSE_LIMIT. */
const maxBufferedResponses = 8;
/** The instance, or a proxy in front of it, cannot answer. Other 5xx are errors of the service itself. */
const isGatewayError = (status: number): boolean => status >= 502 && status <= 504;

interface Client {
  isGone: boolean;
  onGone: () => void;
}

/**
 * Forwards requests to external services over HTTP, to the announced instance with the fewest outstanding requests. An
 * instance that keeps failing is ejected for a growing time, as long as another one is available. In a traffic split,
 * instances of the selected version come first.
 */
@Injectable()
export class HttpUpstreams implements OnApplicationShutdown {
  readonly #log = new Logger('gateway');
  readonly #agents: UpstreamAgents;
  readonly #health = new Map<string, UpstreamHealth>();
  readonly #bulkheads: UpstreamBulkheads;
  readonly #requests: Counter;

  constructor(
    private readonly services: KnownServices,
    private readonly settings: GatewaySettings,
    private readonly split: SplitCalls,
    private readonly assertions: MemberAssertions,
    private readonly spans: Spans,
    { rabbitmqUrl }: PlatformSettings,
    metrics: Metrics,
  ) {
    const own = [...settings.deniedUpstreams, toEndpoint(rabbitmqUrl)];
    const addresses = new UpstreamAddresses(
      () => own,
      () => toEndpoints(services.ownInstances),
    );
    this.#agents = new UpstreamAgents(addresses, settings.responseLimit);
    this.#bulkheads = new UpstreamBulkheads(() => ({
      requests: settings.upstreamRequests,
      bytes: maxBufferedResponses * settings.responseLimit,
    }));
    this.#requests = new Counter({
      name: 'http_upstream_requests_total',
      help: 'Requests to instances of external services over HTTP. Each attempt counts.',
      labelNames: ['service', 'outcome'],
      registers: [metrics.registry],
    });
    const health = this.#health;
    new Gauge({
      name: 'http_upstream_left_out',
      help: 'Instances that are ejected from load balancing because they kept failing.',
      labelNames: ['service'],
      registers: [metrics.registry],
      collect() {
        this.reset();
        for (const { service, ejectedUntil } of health.values()) {
          this.inc({ service }, ejectedUntil > performance.now() ? 1 : 0);
        }
      },
    });
    services.onTable(() => this.#removeGone());
  }

  /**
   * Forwards a request and sends the response.
   * @throws Rejection of the instance
   * @throws RemoteFault `unavailable` if no instance answered, `timeout`, `overloaded` if the bulkhead of the service is full,
   *   `contract-broken` for a response that is too large, and `internal`
   */
  async forward(
    route: Route,
    parameters: Record<string, string>,
    caller: Caller | undefined,
    context: RequestContext,
  ): Promise<void> {
    const { service } = route;
    const permit = this.#bulkheads.acquire(service);
    const client: Client = { isGone: false, onGone: () => {} };
    const end = () => {
      permit.release();
      client.isGone = true;
      client.onGone();
    };
    context.onClose(end);
    if (context.isClosed) end();
    const assertion = caller && (await this.assertions.sign(route, caller));
    const splitKey = toSplitKey(caller?.memberId ?? context.address);
    const sent = buildRequest(route, parameters, { caller, assertion, splitKey }, context);
    const deadline = performance.now() + this.settings.requestTimeout;
    const tried = new Set<string>();
    const version = this.split.versionFor(service, { splitKey });
    while (tried.size < maxAttempts) {
      const instance = this.#choose(route, tried, version);
      if (!instance) break;
      if (version !== undefined && instance.version !== version)
        this.split.onVersionUnavailable(service, version);
      tried.add(instance.instance);
      try {
        const response = await this.#attemptInSpan(instance, sent, context.trace, (traced) =>
          this.#attempt(instance, traced, deadline, client, permit),
        );
        return sendResponse(response, route, instance.url, context);
      } catch (error) {
        if (!(error instanceof AttemptFailed)) throw error;
        if (error.wasReached && sent.method !== 'GET') break;
      }
    }
    throw new RemoteFault('unavailable', `no instance of ${service} answered`);
  }

  /**
   * Prefers instances of the selected version; if the split selects none, instances of versions that it does not list. Then
   * all others, then an ejected one: requests of clients must not be able to make a service unavailable.
   */
  #choose(route: Route, tried: Set<string>, selected: string | undefined): Announcement | undefined {
    const shares = this.split.getShares(route.service);
    const isPreferred = ({ version }: Announcement) =>
      !shares || (selected === undefined ? !Object.hasOwn(shares, version) : version === selected);
    const all = this.services
      .getUpstreams(route.service)
      .filter(({ instance }) => !tried.has(instance))
      .filter(({ contract }) => contract.requests.some(({ name }) => name === route.contract.name));
    const now = performance.now();
    const healthy = all.filter((one) => this.#getHealth(one).ejectedUntil <= now);
    const best = [healthy.filter(isPreferred), healthy].find((some) => some.length > 0);
    return best ? this.#chooseLeastLoaded(best) : this.#chooseEarliestReturn(all);
  }

  #chooseLeastLoaded(instances: readonly Announcement[]): Announcement | undefined {
    let best: Announcement[] = [];
    let fewest = Infinity;
    for (const instance of instances) {
      const { outstanding } = this.#getHealth(instance);
      if (outstanding > fewest) continue;
      if (outstanding < fewest) best = [];
      fewest = outstanding;
      best.push(instance);
    }
    return best[Math.floor(Math.random() * best.length)];
  }

  #chooseEarliestReturn(instances: readonly Announcement[]): Announcement | undefined {
    const until = (one: Announcement) => this.#getHealth(one).ejectedUntil;
    return [...instances].sort((a, b) => until(a) - until(b))[0];
  }

  /** Each attempt has a span of its own, which the instance continues. */
  async #attemptInSpan(
    instance: Announcement,
    sent: UpstreamRequest,
    trace: TraceContext,
    attempt: (sent: UpstreamRequest) => Promise<UpstreamReply>,
  ): Promise<UpstreamReply> {
    const attributes = { 'http.request.method': sent.method, 'server.address': new URL(instance.url).host };
    const name = `${sent.method} ${instance.service}`;
    const span = this.spans.start({ name, kind: 'client', attributes }, trace);
    try {
      const reply = await attempt({ ...sent, headers: { ...sent.headers, ...span.trace } });
      span.end(undefined, { 'http.response.status_code': reply.status });
      return reply;
    } catch (error) {
      span.end(toErrorType(error));
      throw error;
    }
  }

  async #attempt(
    instance: Announcement,
    sent: UpstreamRequest,
    deadline: number,
    client: Client,
    permit: Permit,
  ): Promise<UpstreamReply> {
    const health = this.#getHealth(instance);
    const remaining = deadline - performance.now();
    if (remaining <= 0) throw new RemoteFault('timeout', 'the time for the request is over');
    // One controller and one timer: AbortSignal.any and AbortSignal.timeout cost more than the rest of the attempt.
    const abort = new AbortController();
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      abort.abort();
    }, remaining);
    client.onGone = () => abort.abort();
    if (client.isGone) abort.abort();
    let outcome: Outcome = 'failed';
    health.outstanding += 1;
    try {
      const response = await this.#request(instance, sent, remaining, abort.signal, permit);
      if (isGatewayError(response.status)) throw new AttemptFailed(true);
      outcome = response.status < 500 ? 'answered' : 'error';
      if (outcome === 'error')
        throw new RemoteFault('internal', `${instance.instance} answered ${response.status}`);
      return response;
    } catch (error) {
      permit.releaseBytes();
      if (outcome !== 'error') outcome = isLate ? 'late' : toOutcome(error, client.isGone);
      if (outcome === 'denied')
        this.#log.warn(`request to ${instance.instance} denied: ${(error as Error).message}`);
      throw toThrown(outcome, error);
    } finally {
      clearTimeout(timer);
      client.onGone = () => {};
      health.outstanding -= 1;
      this.#requests.inc({ service: instance.service, outcome });
      recordOutcome(health, outcome);
    }
  }

  async #request(
    instance: Announcement,
    { method, path, body, headers }: UpstreamRequest,
    remaining: number,
    signal: AbortSignal,
    permit: Permit,
  ): Promise<UpstreamReply> {
    const response = await this.#agents.agentFor(instance).request({
      origin: instance.url,
      method,
      path,
      body,
      signal,
      headers: { ...headers, 'x-request-timeout': String(remaining) },
    });
    // Reserves Content-Length first, so that a body beyond the limit is not read.
    let reserved = Math.min(Number(response.headers['content-length']) || 0, this.settings.responseLimit);
    try {
      permit.reserve(reserved);
    } catch (error) {
      response.body.on('error', () => {}).destroy();
      throw error;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      permit.reserve(Math.max(0, chunk.length - reserved));
      reserved = Math.max(0, reserved - chunk.length);
      chunks.push(chunk);
    }
    return { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) };
  }

  #getHealth(announcement: Announcement): UpstreamHealth {
    const { service } = announcement;
    const key = getKey(announcement);
    let health = this.#health.get(key);
    if (!health) {
      health = { service, outstanding: 0, failures: 0, ejections: 0, ejectedUntil: 0 };
      this.#health.set(key, health);
    }
    return health;
  }

  #removeGone(): void {
    const services = this.services.upstreamServices;
    this.#agents.keepOnly(services);
    const present = new Set([...services].flatMap((one) => this.services.getUpstreams(one).map(getKey)));
    for (const key of this.#health.keys()) if (!present.has(key)) this.#health.delete(key);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#agents.close();
  }
}

const getKey = ({ instance, url }: Announcement): string => `${instance} ${url}`;
