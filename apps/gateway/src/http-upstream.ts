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
import type { Exchange } from './exchange.ts';
import { answerWith, sentOf, type Answer, type Sent } from './http-translation.ts';
import { KnownServices } from './known-services.ts';
import { MemberAssertions } from './member-assertion.ts';
import type { Route } from './routes.ts';
import { GatewaySettings } from './settings.ts';
import { UpstreamAgents } from './upstream-agents.ts';

/** So many different instances are tried for one request at most. */
const mostAttempts = 3;
/** An instance that fails so often in a row is left out, at first for so long, and each time twice as long (milliseconds). */
const failuresInARow = 5;
const leftOutAtFirst = 1_000;
const leftOutAtMost = 60_000;

/** Nothing was sent: another instance may be asked for whatever it is. */
const neverReached = new Set([
  ...['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT'],
]);

/** How this gateway gets on with an instance. */
interface Standing {
  service: string;
  outstanding: number;
  /** In a row. */
  failures: number;
  timesLeftOut: number;
  leftOutUntil: number;
}

/** Whoever waits for the answer. */
interface Client {
  isGone: boolean;
  onGone: () => void;
}

type Outcome = 'answered' | 'failed' | 'unreached' | 'denied' | 'late' | 'too-large' | 'given-up';

/** An attempt that another instance may make good: at any time, or only where asking twice is harmless. */
class Failed extends Error {
  constructor(readonly wasReached: boolean) {
    super('an instance failed');
  }
}

/**
 * Takes requests to services that are asked over HTTP, found by what is announced of them. The instance with the fewest
 * requests outstanding gets the next one; one that fails again and again is left out for a growing time. Where the calls
 * of a service are split among its versions, those of one version come before all others.
 */
@Injectable()
export class HttpUpstreams implements OnApplicationShutdown {
  readonly #log = new Logger('gateway');
  readonly #agents: UpstreamAgents;
  readonly #standings = new Map<string, Standing>();
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
    const addresses = new UpstreamAddresses(() => [...own, ...toEndpoints(services.ownInstances)]);
    this.#agents = new UpstreamAgents(addresses, settings.responseLimit);
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
          this.inc({ service }, leftOutUntil > Date.now() ? 1 : 0);
        }
      },
    });
    services.onTable(() => this.#forgetTheGone());
  }

  /**
   * Answers with what an instance answers.
   * @throws Rejection an instance's "no"
   * @throws RemoteFault `unavailable` where nobody takes it or all that were tried failed, `timeout`, and
   *   `contract-broken` for an answer that is too large
   */
  async forward(
    route: Route,
    parameters: Record<string, string>,
    caller: Caller | undefined,
    exchange: Exchange,
  ): Promise<void> {
    const assertion = caller && (await this.assertions.sign(route, caller));
    const splitKey = toSplitKey(caller?.memberId ?? exchange.address);
    const sent = sentOf(route, parameters, { caller, assertion, splitKey }, exchange);
    const deadline = Date.now() + this.settings.requestTimeout;
    const client: Client = { isGone: false, onGone: () => {} };
    exchange.whenOver(() => {
      client.isGone = true;
      client.onGone();
    });
    const tried = new Set<string>();
    const { service } = route;
    const version = this.split.versionFor(service, { splitKey });
    while (tried.size < mostAttempts) {
      let instance = this.#choose(route, tried, version);
      if (!instance) {
        instance = this.#chooseAny(route, tried);
        if (instance && version !== undefined) this.split.fellBack(service, version);
      }
      if (!instance) break;
      tried.add(instance.instance);
      try {
        const answer = await this.#ask(instance, sent, deadline, client);
        return answerWith(answer, route, instance.url, exchange);
      } catch (error) {
        if (!(error instanceof Failed)) throw error;
        if (error.wasReached && sent.method !== 'GET') break;
      }
    }
    throw new RemoteFault('unavailable', `no instance of ${service} answered`);
  }

  /** Of the version that is meant; where a split means none for this call, of those that it does not name. */
  #choose(route: Route, tried: Set<string>, meant: string | undefined): Announcement | undefined {
    const shares = this.split.sharesOf(route.service);
    if (!shares) return this.#chooseAny(route, tried);
    return this.#chooseAny(route, tried, (version) =>
      meant === undefined ? !Object.hasOwn(shares, version) : version === meant,
    );
  }

  #chooseAny(
    { service, contract }: Route,
    tried: Set<string>,
    fits: (version: string) => boolean = () => true,
  ): Announcement | undefined {
    const now = Date.now();
    let best: Announcement[] = [];
    let fewest = Infinity;
    for (const instance of this.services.upstreamsOf(service)) {
      const { outstanding, leftOutUntil } = this.#standingOf(instance);
      if (tried.has(instance.instance) || leftOutUntil > now || outstanding > fewest) continue;
      if (!fits(instance.version)) continue;
      if (!instance.contract.requests.some(({ name }) => name === contract.name)) continue;
      if (outstanding < fewest) best = [];
      fewest = outstanding;
      best.push(instance);
    }
    return best[Math.floor(Math.random() * best.length)];
  }

  async #ask(instance: Announcement, sent: Sent, deadline: number, client: Client): Promise<Answer> {
    const standing = this.#standingOf(instance);
    const remaining = deadline - Date.now();
    if (remaining <= 0) throw new RemoteFault('timeout', 'no time left');
    // One controller and one timer: AbortSignal.any and AbortSignal.timeout cost more than all the rest.
    const abort = new AbortController();
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      abort.abort();
    }, remaining);
    client.onGone = () => abort.abort();
    const { method, path, body } = sent;
    let outcome: Outcome = 'failed';
    standing.outstanding += 1;
    try {
      const response = await this.#agents.agentFor(instance).request({
        ...{ origin: instance.url, method, path, body },
        headers: { ...sent.headers, 'x-request-timeout': String(remaining) },
        signal: abort.signal,
      });
      const { statusCode: status, headers } = response;
      const answer = { status, headers, body: Buffer.from(await response.body.arrayBuffer()) };
      if (status >= 500) throw new Failed(true);
      outcome = 'answered';
      return answer;
    } catch (error) {
      const { code } = error as { code?: string };
      if (client.isGone) outcome = 'given-up';
      else if (isLate) outcome = 'late';
      else if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') outcome = 'too-large';
      else if (error instanceof DeniedAddress) {
        outcome = 'denied';
        this.#log.warn(`${instance.instance} is not asked: ${error.message}`);
      } else if (neverReached.has(code ?? '')) outcome = 'unreached';
      if (outcome === 'late') throw new RemoteFault('timeout', 'no answer in time');
      if (outcome === 'too-large') throw new RemoteFault('contract-broken', 'the answer is too large');
      if (outcome === 'given-up') throw new Rejection('client-gone', 499);
      throw new Failed(outcome === 'failed');
    } finally {
      clearTimeout(timer);
      client.onGone = () => {};
      standing.outstanding -= 1;
      this.#requests.inc({ service: instance.service, outcome });
      judge(standing, outcome);
    }
  }

  #standingOf({ service, instance, url }: Announcement): Standing {
    const key = `${instance} ${url}`;
    let standing = this.#standings.get(key);
    if (!standing) {
      standing = { service, outstanding: 0, failures: 0, timesLeftOut: 0, leftOutUntil: 0 };
      this.#standings.set(key, standing);
    }
    return standing;
  }

  #forgetTheGone(): void {
    this.#agents.keepOnly(this.services.upstreamServices);
    for (const [key, { service }] of this.#standings) {
      const isThere = this.services.upstreamsOf(service).some((one) => key === `${one.instance} ${one.url}`);
      if (!isThere) this.#standings.delete(key);
    }
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#agents.close();
  }
}

/** One more failure leaves an instance out again that comes back, until it succeeds once. */
function judge(standing: Standing, outcome: Outcome): void {
  if (outcome === 'answered') Object.assign(standing, { failures: 0, timesLeftOut: 0 });
  // What was under way when an instance was left out says nothing new.
  else if (outcome === 'given-up' || outcome === 'too-large' || standing.leftOutUntil > Date.now()) return;
  else if (++standing.failures >= failuresInARow) {
    const time = Math.min(leftOutAtFirst * 2 ** standing.timesLeftOut, leftOutAtMost);
    standing.timesLeftOut += 1;
    standing.leftOutUntil = Date.now() + time;
  }
}
