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

/** A request with an HTTP route and an access policy. */
export interface Route {
  service: string;
  /** How the gateway reaches the service. */
  upstream: 'bus' | 'http';
  /** The path pattern of the contract. Bounded in number, so safe as a metrics label. */
  pattern: string;
  access: Access;
  http: Http;
  contract: RequestDescription;
  /** Call policy of the service. */
  policy: CallPolicy;
  /** Set if the route is everything below a path. */
  pages?: Pages;
  /** Used while the service is unreachable. */
  fallback?: Fallback;
}

export type Match =
  | { found: 'route'; route: Route; parameters: Record<string, string> }
  | { found: 'other-methods'; allow: string[] }
  /** A route that the deploy step registered, whose service has not announced itself since this process started. */
  | { found: 'registered' }
  | { found: 'nothing' };

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
type Method = (typeof methods)[number];

/** Excludes the pattern syntax of the router. */
const pathForm = /^\/([\w.~-]+|\{\w+\})?(\/([\w.~-]+|\{\w+\}))*$/;
const pagesForm = /^\/[a-z][a-z0-9-]*$/;
/** The gateway answers it unless a service on the bus announces it. */
const homeRoute = 'GET /';
const toRouterPath = (pattern: string): string => pattern.replace(/\{(\w+)\}/g, ':$1');
const getFirstSegment = (path: string): string => `/${path.split('/', 2)[1]}`;

/** Maps method and path to a request. Immutable: changed announcements create a new table. */
export class RouteTable {
  readonly routes: Route[] = [];
  /** Announced routes that were rejected, with the reason. */
  readonly refused: string[] = [];
  readonly #router = findMyWay({ maxParamLength: 255 });

  /**
   * @param services announced contracts; the first one with a route gets it
   * @param own routes that the gateway answers itself, as `METHOD /path`
   * @param foreign announced contracts of external services, which get only routes that overlap with no others
   * @param registered the service of each route that the deploy step registered, by `METHOD /path`. Foreign services cannot
   *   take them, even before their own service has announced itself
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
    const firstSegments = new Set(
      [...own.map((route) => route.split(' ')[1]!), ...this.#patterns].map(getFirstSegment),
    );
    for (const route of this.routes) this.#addFallback(route, known);
    for (const { service, policy, requests } of known) {
      for (const contract of requests) {
        if (contract.pages)
          this.#addPages({ service, policy, contract, pages: contract.pages }, firstSegments);
      }
    }
    const served = this.routes.map(({ http, pattern }) => `${http.method} ${pattern}`);
    const taken = [...new Set([...own, homeRoute, ...served, ...registered.keys()])];
    this.#addAll(foreign, 'http', taken);
    const announced = new Set(known.map(({ service }) => service));
    for (const [route, { service }] of registered) if (!announced.has(service)) this.#addRegistered(route);
  }

  #addFallback(route: Route, services: readonly ServiceDescription[]): void {
    const fallback = findFallback(route.contract, services);
    if (typeof fallback === 'string') this.refused.push(`fallback of ${route.contract.name}: ${fallback}`);
    else if (fallback) route.fallback = fallback;
  }

  get #patterns(): string[] {
    return this.routes.map(({ pattern }) => pattern);
  }

  /** @param firstSegments first segments of other routes, below which no pages are allowed */
  #addPages(
    { pages, ...request }: Pick<Route, 'service' | 'policy' | 'contract'> & { pages: Pages },
    firstSegments: Set<string>,
  ): void {
    const { path, limit } = pages;
    if (!pagesForm.test(path) || firstSegments.has(path)) {
      const reason = firstSegments.has(path) ? 'overlaps with other routes' : 'invalid path';
      this.refused.push(`${request.contract.name} (${path}/*): ${reason}`);
      return;
    }
    firstSegments.add(path);
    for (const taken of pageRoutes(path)) {
      const [method, pattern] = taken.split(' ') as [Method, string];
      const http: Http = { method, path: pattern, parameters: [], status: 200, ...(limit && { limit }) };
      const route: Route = { ...request, upstream: 'bus', access: 'public', http, pattern: http.path, pages };
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
        if (!access) {
          this.refused.push(`${contract.name} (${route}): no access policy`);
          continue;
        }
        const holder = taken.find(
          (other) => routesOverlap(route, other) || other.endsWith(` ${getFirstSegment(http.path)}/*`),
        );
        if (holder) this.refused.push(`${contract.name} (${route}): overlaps with ${holder}`);
        else this.#add({ service, upstream, policy, contract, access, http, pattern: http.path });
      }
    }
  }

  #add(route: Route): void {
    const method = route.http.method as Method;
    const name = `${route.contract.name} (${method} ${route.pattern})`;
    const path = toRouterPath(route.pattern);
    if (!methods.includes(method) || !pathForm.test(route.pattern)) {
      this.refused.push(`${name}: invalid route`);
    } else if (this.#router.hasRoute(method, path)) {
      this.refused.push(`${name}: already taken by another service`);
    } else {
      try {
        this.#router.on(method, path, () => {}, route);
        this.routes.push(route);
      } catch (error) {
        this.refused.push(`${name}: ${(error as Error).message}`);
      }
    }
  }

  /** @param route `METHOD /path`, or `METHOD /path/*` for pages */
  #addRegistered(route: string): void {
    const [method, pattern] = route.split(' ') as [Method, string];
    if (!methods.includes(method) || !pathForm.test(pattern.replace(/\/\*$/, ''))) return;
    const path = toRouterPath(pattern);
    if (!this.#router.hasRoute(method, path)) this.#router.on(method, path, () => {}, 'registered');
  }

  /** @param path percent-encoded, without query */
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
    // `match` without a store is a route that the gateway answers itself, here in another spelling.
    if (match || allow.length === 0) return { found: 'nothing' };
    return { found: 'other-methods', allow: allow.includes('GET') ? ['HEAD', ...allow] : allow };
  }

  #lookUp(method: string, path: string) {
    const match = this.#router.find(method as Method, path);
    // `/v1/loans/` does not match `/v1/loans/{loanId}`.
    return match && Object.values(match.params).includes('') ? null : match;
  }
}
