import { Rejection, type Announcement } from '@jogakbo/contract';
import { RemoteFault, toSplitKey, type Caller } from '@jogakbo/messaging';
import { Metrics, PlatformSettings, SplitCalls } from '@jogakbo/service';
import {
  DeniedAddress,
  toEndpoint,
  toEndpoints,
  UpstreamAddresses,
} from '@jogakbo/service/upstream-addresses';
import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { Counter, Gauge } from 'prom-client';
import type { RequestContext } from './request-context.ts';
import { answerWith, buildRequest, type Answer, type Sent } from './http-translation.ts';
import { KnownServices } from './known-services.ts';
import { MemberAssertions } from './member-assertion.ts';
import type { Route } from './routes.ts';
import { GatewaySettings } from './settings.ts';
import { UpstreamAgents } from './upstream-agents.ts';
import { UpstreamBulkheads, type Place } from './upstream-bulkheads.ts';
import { judge, type Outcome, type UpstreamHealth } from './upstream-health.ts';

/** So many different instances are tried for one request at most. */
const mostAttempts = 3;
/** The answers of a service that are held at once are as large as so many of the largest. */
const mostLargestAnswers = 8;
/** An instance, or what stands before it, cannot answer. With another error the service itself says that it failed. */
const isAway = (status: number): boolean => status >= 502 && status <= 504;

/** Nothing was sent: another instance may be asked for whatever it is. */
const neverReached = new Set([
  ...['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT'],
]);

/** Whoever waits for the answer. */
interface Client {
  isGone: boolean;
  onGone: () => void;
}

/** An attempt that another instance may make good: at any time, or only where asking twice is harmless. */
class Failed extends Error {
  constructor(readonly wasReached: boolean) {
    super('an instance failed');
  }
}

/**
 * Takes requests to services that are asked over HTTP, found by what is announced of them. The instance with the fewest
 * requests outstanding gets the next one; one that fails again and again is left out for a growing time, as long as another
 * one can be asked. Where the calls
 * of a service are split among its versions, those of one version come before all others.
 */
@Injectable()
export class HttpUpstreams implements OnApplicationShutdown {
  readonly #log = new Logger('gateway');
  readonly #agents: UpstreamAgents;
  readonly #standings = new Map<string, UpstreamHealth>();
  readonly #bulkheads: UpstreamBulkheads;
  readonly #requests: Counter;

  constructor(
    private readonly services: KnownServices,
    private readonly settings: GatewaySettings,
    private readonly split: SplitCalls,
    private readonly assertions: MemberAssertions,
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
      bytes: mostLargestAnswers * settings.responseLimit,
    }));
    this.#requests = new Counter({
      name: 'http_upstream_requests_total',
      help: 'Requests to instances that are asked over HTTP, attempts counted one by one.',
      labelNames: ['service', 'outcome'],
      registers: [metrics.registry],
    });
    const standings = this.#standings;
    new Gauge({
      name: 'http_upstream_left_out',
      help: 'Instances that are left out, for they failed again and again.',
      labelNames: ['service'],
      registers: [metrics.registry],
      collect() {
        this.reset();
        for (const { service, leftOutUntil } of standings.values()) {
          this.inc({ service }, leftOutUntil > performance.now() ? 1 : 0);
        }
      },
    });
    services.onTable(() => this.#forgetTheGone());
  }

  /**
   * Answers with what an instance answers.
   * @throws Rejection an instance's "no"
   * @throws RemoteFault `unavailable` where nobody takes it or all that were tried failed, `timeout`, `overloaded` where
   *   the service holds too much already, `contract-broken` for an answer that is too large, and `internal`
   */
  async forward(
    route: Route,
    parameters: Record<string, string>,
    caller: Caller | undefined,
    context: RequestContext,
  ): Promise<void> {
    const { service } = route;
    const place = this.#bulkheads.enter(service);
    const client: Client = { isGone: false, onGone: () => {} };
    const end = () => {
      place.leave();
      client.isGone = true;
      client.onGone();
    };
    context.whenOver(end);
    if (context.isOver) end();
    const assertion = caller && (await this.assertions.sign(route, caller));
    const splitKey = toSplitKey(caller?.memberId ?? context.address);
    const sent = buildRequest(route, parameters, { caller, assertion, splitKey }, context);
    const deadline = performance.now() + this.settings.requestTimeout;
    const tried = new Set<string>();
    const version = this.split.versionFor(service, { splitKey });
    while (tried.size < mostAttempts) {
      const instance = this.#choose(route, tried, version);
      if (!instance) break;
      if (version !== undefined && instance.version !== version) this.split.fellBack(service, version);
      tried.add(instance.instance);
      try {
        const answer = await this.#ask(instance, sent, deadline, client, place);
        return answerWith(answer, route, instance.url, context);
      } catch (error) {
        if (!(error instanceof Failed)) throw error;
        if (error.wasReached && sent.method !== 'GET') break;
      }
    }
    throw new RemoteFault('unavailable', `no instance of ${service} answered`);
  }

  /**
   * First those of the version that is meant; where a split means none for this call, those that it does not name. Then all
   * others, and at last one that is left out: requests alone, whatever they ask for, must not take a service away.
   */
  #choose(route: Route, tried: Set<string>, meant: string | undefined): Announcement | undefined {
    const shares = this.split.getShares(route.service);
    const isMeant = ({ version }: Announcement) =>
      !shares || (meant === undefined ? !Object.hasOwn(shares, version) : version === meant);
    const all = this.services
      .getUpstreams(route.service)
      .filter(({ instance }) => !tried.has(instance))
      .filter(({ contract }) => contract.requests.some(({ name }) => name === route.contract.name));
    const now = performance.now();
    const able = all.filter((one) => this.#getStanding(one).leftOutUntil <= now);
    return this.#chooseIdlest(able.filter(isMeant)) ?? this.#chooseIdlest(able) ?? this.#chooseSoonest(all);
  }

  #chooseIdlest(instances: readonly Announcement[]): Announcement | undefined {
    let best: Announcement[] = [];
    let fewest = Infinity;
    for (const instance of instances) {
      const { outstanding } = this.#getStanding(instance);
      if (outstanding > fewest) continue;
      if (outstanding < fewest) best = [];
      fewest = outstanding;
      best.push(instance);
    }
    return best[Math.floor(Math.random() * best.length)];
  }

  /** The one whose time to be left out ends first. */
  #chooseSoonest(instances: readonly Announcement[]): Announcement | undefined {
    const until = (one: Announcement) => this.#getStanding(one).leftOutUntil;
    return [...instances].sort((a, b) => until(a) - until(b))[0];
  }

  async #ask(
    instance: Announcement,
    sent: Sent,
    deadline: number,
    client: Client,
    place: Place,
  ): Promise<Answer> {
    const standing = this.#getStanding(instance);
    const remaining = deadline - performance.now();
    if (remaining <= 0) throw new RemoteFault('timeout', 'no time left');
    // One controller and one timer: AbortSignal.any and AbortSignal.timeout cost more than all the rest.
    const abort = new AbortController();
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      abort.abort();
    }, remaining);
    client.onGone = () => abort.abort();
    if (client.isGone) abort.abort();
    let outcome: Outcome = 'failed';
    standing.outstanding += 1;
    try {
      const answer = await this.#request(instance, sent, remaining, abort.signal, place);
      if (isAway(answer.status)) throw new Failed(true);
      outcome = answer.status < 500 ? 'answered' : 'error';
      if (outcome === 'error')
        throw new RemoteFault('internal', `${instance.instance} answered ${answer.status}`);
      return answer;
    } catch (error) {
      place.release();
      if (outcome !== 'error') outcome = isLate ? 'late' : toOutcome(error, client);
      if (outcome === 'denied')
        this.#log.warn(`${instance.instance} is not asked: ${(error as Error).message}`);
      throw toThrown(outcome, error);
    } finally {
      clearTimeout(timer);
      client.onGone = () => {};
      standing.outstanding -= 1;
      this.#requests.inc({ service: instance.service, outcome });
      judge(standing, outcome);
    }
  }

  async #request(
    instance: Announcement,
    { method, path, body, headers }: Sent,
    remaining: number,
    signal: AbortSignal,
    place: Place,
  ): Promise<Answer> {
    const response = await this.#agents.agentFor(instance).request({
      ...{ origin: instance.url, method, path, body, signal },
      headers: { ...headers, 'x-request-timeout': String(remaining) },
    });
    // What there is no room for is not read.
    let ahead = Math.min(Number(response.headers['content-length']) || 0, this.settings.responseLimit);
    try {
      place.hold(ahead);
    } catch (error) {
      response.body.on('error', () => {}).destroy();
      throw error;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      place.hold(Math.max(0, chunk.length - ahead));
      ahead = Math.max(0, ahead - chunk.length);
      chunks.push(chunk);
    }
    return { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) };
  }

  #getStanding(announcement: Announcement): UpstreamHealth {
    const { service } = announcement;
    const key = getKey(announcement);
    let standing = this.#standings.get(key);
    if (!standing) {
      standing = { service, outstanding: 0, failures: 0, timesLeftOut: 0, leftOutUntil: 0 };
      this.#standings.set(key, standing);
    }
    return standing;
  }

  #forgetTheGone(): void {
    const services = this.services.upstreamServices;
    this.#agents.keepOnly(services);
    const there = [...services].flatMap((service) => this.services.getUpstreams(service).map(getKey));
    const present = new Set(there);
    for (const key of this.#standings.keys()) if (!present.has(key)) this.#standings.delete(key);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#agents.close();
  }
}

const getKey = ({ instance, url }: Announcement): string => `${instance} ${url}`;

function toOutcome(error: unknown, client: Client): Outcome {
  const { code } = error as { code?: string };
  if (client.isGone) return 'given-up';
  if (error instanceof RemoteFault) return 'overloaded';
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') return 'too-large';
  if (error instanceof DeniedAddress) return 'denied';
  return neverReached.has(code ?? '') ? 'unreached' : 'failed';
}

function toThrown(outcome: Outcome, error: unknown): unknown {
  switch (outcome) {
    case 'late':
      return new RemoteFault('timeout', 'no answer in time');
    case 'too-large':
      return new RemoteFault('contract-broken', 'the answer is too large');
    case 'given-up':
      return new Rejection('client-gone', 499);
    case 'error':
    case 'overloaded':
      return error;
    default:
      return new Failed(outcome === 'failed');
  }
}
