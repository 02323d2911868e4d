import {
  pageRoutes,
  routesOverlap,
  type Access,
  type CallPolicy,
  type RequestDescription,
  type ServiceDescription,
} from '@jogakbo/contract';
import findMyWay from 'find-my-way';
import { findFallback, type Fallback } from './fallbacks.ts';

type Http = NonNullable<RequestDescription['http']>;
type Pages = NonNullable<RequestDescription['pages']>;

/** A request that can be reached over HTTP: it has both a route and an access policy. */
export interface Route {
  service: string;
  /** How the service is asked. */
  upstream: 'bus' | 'http';
  /** The path as the contract writes it. Bounded in number, so fit for metrics; the path of a request is not. */
  pattern: string;
  access: Access;
  http: Http;
  contract: RequestDescription;
  /** How the service wants to be asked. */
  policy: CallPolicy;
  /** Set where it is all that lies beneath a path. */
  pages?: Pages;
  /** What answers while the service does not. */
  fallback?: Fallback;
}

export type Match =
  | { found: 'route'; route: Route; parameters: Record<string, string> }
  | { found: 'other-methods'; allow: string[] }
  /** A route that the deploy step registered, for a service that has not been heard of since this process started. */
  | { found: 'registered' }
  | { found: 'nothing' };

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
type Method = (typeof methods)[number];

/** Nothing that the router would take for a pattern of its own. */
const pathForm = /^\/([\w.~-]+|\{\w+\})?(\/([\w.~-]+|\{\w+\}))*$/;
const pagesForm = /^\/[a-z][a-z0-9-]*$/;
/** The gateway answers it itself unless a service on the bus does. */
const homeRoute = 'GET /';
const routerPath = (pattern: string): string => pattern.replace(/\{(\w+)\}/g, ':$1');
const getFirstSegment = (path: string): string => `/${path.split('/', 2)[1]}`;

/** Which request answers which method and path. Never changes; a new one is made when what is announced changes. */
export class RouteTable {
  readonly routes: Route[] = [];
  /** Routes that were announced and are not taken, with the reason. */
  readonly refused: string[] = [];
  readonly #router = findMyWay({ maxParamLength: 255 });

  /**
   * @param services what is announced; of two that announce the same route, the first has it
   * @param own routes that the gateway answers itself, as `METHOD /path`
   * @param foreign what is announced of services that are asked over HTTP: they get what nobody else could be asked for
   * @param registered whose each route is that the deploy step registered, by `METHOD /path`: not for foreign services,
   * and known before its own service is heard of
   */
  constructor(
    services: Iterable<ServiceDescription>,
    own: readonly string[] = [],
    foreign: Iterable<ServiceDescription> = [],
    registered: ReadonlyMap<string, { service: string }> = new Map(),
  ) {
    for (const route of own) {
      const [method, path] = route.split(' ') as [Method, string];
      this.#router.on(method, path, () => {});
    }
    const known = [...services];
    this.#addAll(known, 'bus');
    const heads = new Set(
      [...own.map((route) => route.split(' ')[1]!), ...this.#patterns].map(getFirstSegment),
    );
    for (const route of this.routes) this.#addFallback(route, known);
    for (const { service, policy, requests } of known) {
      for (const contract of requests) {
        if (contract.pages) this.#addPages({ service, policy, contract, pages: contract.pages }, heads);
      }
    }
    const here = this.routes.map(({ http, pattern }) => `${http.method} ${pattern}`);
    const taken = [...new Set([...own, homeRoute, ...here, ...registered.keys()])];
    this.#addAll(foreign, 'http', taken);
    const heard = new Set(known.map(({ service }) => service));
    for (const [route, { service }] of registered) if (!heard.has(service)) this.#addRegistered(route);
  }

  #addFallback(route: Route, services: readonly ServiceDescription[]): void {
    const fallback = findFallback(route.contract, services);
    if (typeof fallback === 'string') this.refused.push(`a fallback of ${route.contract.name}: ${fallback}`);
    else if (fallback) route.fallback = fallback;
  }

  get #patterns(): string[] {
    return this.routes.map(({ pattern }) => pattern);
  }

  /** @param heads first segments that others have: what lies beneath them is not given away as a whole */
  #addPages(
    { pages, ...asked }: Pick<Route, 'service' | 'policy' | 'contract'> & { pages: Pages },
    heads: Set<string>,
  ): void {
    const { path, limit } = pages;
    if (!pagesForm.test(path) || heads.has(path)) {
      this.refused.push(
        `${asked.contract.name} (${path}/*): ${heads.has(path) ? 'others have routes there' : 'not a path'}`,
      );
      return;
    }
    heads.add(path);
    for (const taken of pageRoutes(path)) {
      const [method, pattern] = taken.split(' ') as [Method, string];
      const http: Http = { method, path: pattern, parameters: [], status: 200, ...(limit && { limit }) };
      const route: Route = { ...asked, upstream: 'bus', access: 'public', http, pattern: http.path, pages };
      this.#router.on(method, http.path, () => {}, route);
      this.routes.push(route);
    }
  }

  #addAll(
    services: Iterable<ServiceDescription>,
    upstream: Route['upstream'],
    taken: readonly string[] = [],
  ): void {
    for (const { service, policy, requests } of services) {
      for (const contract of requests) {
        const { http, access } = contract;
        if (!http) continue;
        const route = `${http.method} ${http.path}`;
        // What has no policy is not reachable.
        if (!access) {
          this.refused.push(`${contract.name} (${route}): it does not say who may use it`);
          continue;
        }
        const holder = taken.find(
          (other) => routesOverlap(route, other) || other.endsWith(` ${getFirstSegment(http.path)}/*`),
        );
        if (holder) this.refused.push(`${contract.name} (${route}): it takes what is of ${holder}`);
        else this.#add({ service, upstream, policy, contract, access, http, pattern: http.path });
      }
    }
  }

  #add(route: Route): void {
    const method = route.http.method as Method;
    const name = `${route.contract.name} (${method} ${route.pattern})`;
    const path = routerPath(route.pattern);
    if (!methods.includes(method) || !pathForm.test(route.pattern)) {
      this.refused.push(`${name}: not a route`);
    } else if (this.#router.hasRoute(method, path)) {
      this.refused.push(`${name}: somebody else has it`);
    } else {
      try {
        this.#router.on(method, path, () => {}, route);
        this.routes.push(route);
      } catch (error) {
        this.refused.push(`${name}: ${(error as Error).message}`);
      }
    }
  }

  /** Pages lie beneath a path, as `GET /path/*`. */
  #addRegistered(route: string): void {
    const [method, pattern] = route.split(' ') as [Method, string];
    if (!methods.includes(method) || !pathForm.test(pattern.replace(/\/\*$/, ''))) return;
    const path = routerPath(pattern);
    if (!this.#router.hasRoute(method, path)) this.#router.on(method, path, () => {}, 'registered');
  }

  /** @param path without query, as it came: percent-encoded */
  find(method: string, path: string): Match {
    const match = this.#lookUp(method === 'HEAD' ? 'GET' : method, path);
    if (match?.store === 'registered') return { found: 'registered' };
    if (match?.store) {
      return {
        found: 'route',
        route: match.store as Route,
        parameters: match.params as Record<string, string>,
      };
    }
    const allow = methods.filter((other) => this.#lookUp(other, path));
    // A route of the gateway itself, in a spelling that is not its own.
    if (match || allow.length === 0) return { found: 'nothing' };
    return { found: 'other-methods', allow: allow.includes('GET') ? ['HEAD', ...allow] : allow };
  }

  #lookUp(method: string, path: string) {
    const match = this.#router.find(method as Method, path);
    // `/v1/orders/` is not the order without a name.
    return match && Object.values(match.params).includes('') ? null : match;
  }
}
