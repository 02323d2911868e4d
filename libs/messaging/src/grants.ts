import { EncryptionKey, priorities, routesOverlap, type Priority } from '@jogakbo/contract';
import { z } from 'zod';
import { getServiceName } from './topology.ts';

/** Public keys for encrypting data for one service, the newest first. */
export const EncryptionKeys = z.array(EncryptionKey).min(1).max(10);
export type EncryptionKeys = z.infer<typeof EncryptionKeys>;

/**
 * What a service offers and uses on the bus, as known at build time: the build writes it to `dist/bus.json`. The deploy step
 * derives two things from the descriptions of all services:
 *
 * - the broker's own permissions of each login (`permissions.ts`), which the broker checks;
 * - the grants: it writes the descriptions to a stream (`grants-stream.ts`), services follow the stream (`KnownGrants`) and
 *   look permissions up in `Grants` (this file, no I/O), which consumers and the gateway check (`sender-check.ts`,
 *   `refused-routes.ts`).
 */
export const BusDescription = z.object({
  service: z.string(),
  contracts: z.array(
    z.object({
      name: z.string(),
      kind: z.enum(['command', 'query', 'event']),
      /** Its input and output are encrypted on the bus. */
      sensitive: z.boolean().optional(),
      /** Set if the contract is public: clients use it through the gateway. */
      offered: z
        .object({
          /** Further calls of the gateway, for a client that waits for the outcome. */
          asks: z.array(z.string()),
          /** Events that the gateway subscribes to for such a client. */
          subscribesTo: z.array(z.string()),
          /** `METHOD /path/{parameter}`, or `METHOD /path/*` for all pages below a path. */
          routes: z.array(z.string()).default([]),
          /** Access policy of these routes. */
          access: z.string().optional(),
          /** Which of them the gateway rejects first under overload. */
          priority: z.enum(priorities).optional(),
        })
        .optional(),
    }),
  ),
  /** Requests of other services that it sends. */
  calls: z.array(z.string()),
  /** Events of other services that it subscribes to. */
  subscribesTo: z.array(z.string()),
  /** Platform events that it publishes in addition to its own and to `instanceEvents`, which all services publish. */
  publishes: z.array(z.string()),
  /** True for the public gateway: it may send every offered request, and subscribe to events that clients wait for. */
  isGateway: z.boolean(),
  /** Added by the deploy step. */
  encryptionKeys: EncryptionKeys.optional(),
});
export type BusDescription = z.infer<typeof BusDescription>;

/** A route that two services claim: the deploy step leaves it with its holder, the service that had it first. */
export interface RouteConflict {
  route: string;
  service: string;
  holder: string;
}

/** A route that the deploy step registered. */
export interface GrantedRoute {
  service: string;
  request: string;
  access: string | undefined;
  priority?: Priority | undefined;
}

/** Adds the permissions of the gateway, which depend on the offers of the other services. */
export function withOffers(one: BusDescription, all: readonly BusDescription[]): BusDescription {
  if (!one.isGateway) return one;
  const offers = all.flatMap(({ contracts }) => contracts.filter(({ offered }) => offered));
  return {
    ...one,
    calls: [...one.calls, ...offers.flatMap(({ name, offered }) => [name, ...offered!.asks])],
    subscribesTo: [...one.subscribesTo, ...offers.flatMap(({ offered }) => offered!.subscribesTo)],
  };
}

/**
 * What a service does on the bus while two of its versions run side by side: everything that one of them does. A contract of
 * both keeps the access policy of the current version.
 */
export function mergeDescriptions(current: BusDescription, next: BusDescription): BusDescription {
  const unite = (a: readonly string[], b: readonly string[]) => [...new Set([...a, ...b])];
  const added = next.contracts.filter(({ name }) => !current.contracts.some((one) => one.name === name));
  const contracts = current.contracts.map((one) => {
    const other = next.contracts.find(({ name }) => name === one.name);
    const [offered, also] = [one.offered, other?.offered];
    return {
      ...one,
      ...(one.sensitive || other?.sensitive ? { sensitive: true } : {}),
      ...(also && {
        offered: offered
          ? {
              ...offered,
              asks: unite(offered.asks, also.asks),
              subscribesTo: unite(offered.subscribesTo, also.subscribesTo),
              routes: unite(offered.routes, also.routes),
            }
          : also,
      }),
    };
  });
  return {
    ...current,
    contracts: [...contracts, ...added],
    calls: unite(current.calls, next.calls),
    subscribesTo: unite(current.subscribesTo, next.subscribesTo),
    publishes: unite(current.publishes, next.publishes),
  };
}

/**
 * Determines at deploy time which services exist, which routes each of them holds and which keys it has. Publishes nothing:
 * see `publishGrants`.
 * @param described the descriptions of the current builds
 * @param before the previous registration: a route stays with the service that had it first
 * @param known every service that still exists; a service without a build keeps its previous registration
 * @param keys public keys by service; a service that is missing here keeps its previous keys
 */
export function resolveGrants(
  described: readonly BusDescription[],
  before: readonly BusDescription[],
  known: readonly string[],
  keys: ReadonlyMap<string, EncryptionKeys> = new Map(),
): { services: BusDescription[]; refused: RouteConflict[] } {
  const names = new Set([...described.map(({ service }) => service), ...known]);
  const find = (all: readonly BusDescription[], name: string) => all.find(({ service }) => service === name);
  const present = [...names].flatMap((name) => find(described, name) ?? find(before, name) ?? []);
  const claims = present.flatMap((one) => listRoutes(one).map((route) => ({ service: one.service, route })));
  const hadRoute = (service: string, route: string): boolean => {
    const earlier = find(before, service);
    return earlier !== undefined && listRoutes(earlier).some((one) => hasSameForm(one, route));
  };
  const held: { service: string; route: string }[] = [];
  const refused: RouteConflict[] = [];
  for (const claim of claims.sort(
    (a, b) => Number(hadRoute(b.service, b.route)) - Number(hadRoute(a.service, a.route)),
  )) {
    const holder = held.find(
      ({ service, route }) => service !== claim.service && hasOverlap(route, claim.route),
    );
    if (holder) refused.push({ ...claim, holder: holder.service });
    else held.push(claim);
  }
  const isRefused = (service: string, route: string): boolean =>
    refused.some((one) => one.service === service && one.route === route);
  const services = present.map((one) => ({
    ...one,
    encryptionKeys: keys.get(one.service) ?? find(before, one.service)?.encryptionKeys,
    contracts: one.contracts.map(({ offered, ...contract }) => ({
      ...contract,
      ...(offered && {
        offered: { ...offered, routes: offered.routes.filter((route) => !isRefused(one.service, route)) },
      }),
    })),
  }));
  return { services, refused };
}

const listRoutes = ({ contracts }: BusDescription): string[] =>
  contracts.flatMap(({ offered }) => offered?.routes ?? []);

/** Whether a request exists that matches both routes. */
const hasOverlap = (a: string, b: string): boolean => routesOverlap(a, b) || isBelow(a, b) || isBelow(b, a);

/** Pages own every path below theirs, for every method. */
const isBelow = (route: string, pages: string): boolean =>
  pages.endsWith('/*') && routesOverlap(route, `* ${pages.split(' ')[1]!}`);

/** Whether two routes differ at most in the names of their parameters. */
function hasSameForm(a: string, b: string): boolean {
  const withoutNames = (route: string) => route.replace(/\{\w+\}/g, '{}');
  return withoutNames(a) === withoutNames(b);
}

/** Permissions on the bus, as the deploy step registered them. */
export class Grants {
  readonly #sendersByRequest = new Map<string, Set<string>>();
  readonly #subscriptions = new Map<string, Set<string>>();
  readonly #gateways = new Set<string>();
  readonly #keys = new Map<string, readonly EncryptionKey[]>();
  readonly #sensitive = new Set<string>();
  readonly #requests = new Set<string>();
  /** By `METHOD /path`. */
  readonly routes = new Map<string, GrantedRoute>();

  constructor(services: readonly BusDescription[]) {
    for (const one of services) {
      const {
        service,
        calls,
        subscribesTo,
        isGateway,
        contracts,
        encryptionKeys = [],
      } = withOffers(one, services);
      this.#keys.set(service, encryptionKeys);
      if (isGateway) this.#gateways.add(service);
      this.#subscriptions.set(service, new Set(subscribesTo));
      for (const name of calls) {
        const callers = this.#sendersByRequest.get(name);
        if (callers) callers.add(service);
        else this.#sendersByRequest.set(name, new Set([service]));
      }
      for (const { name: request, kind, offered, sensitive } of contracts) {
        if (kind !== 'event') this.#requests.add(request);
        if (sensitive) this.#sensitive.add(request);
        for (const route of offered?.routes ?? [])
          this.routes.set(route, {
            service,
            request,
            access: offered!.access,
            priority: offered!.priority,
          });
      }
    }
  }

  /** Whether this login may send this request of another service. */
  mayCall(login: string, request: string): boolean {
    return this.#sendersByRequest.get(request)?.has(login) ?? false;
  }

  /** Whether this login may send any request of a service. */
  mayCallAny(login: string | undefined, service: string): boolean {
    return [...this.#sendersByRequest].some(
      ([request, callers]) =>
        getServiceName(request) === service && login !== undefined && callers.has(login),
    );
  }

  /** Whether this login may subscribe to this event of another service. */
  maySubscribe(login: string, event: string): boolean {
    return this.#subscriptions.get(login)?.has(event) ?? false;
  }

  /** Whether this login is the public gateway. Only the gateway may set the member of a request. */
  isGateway(login: string): boolean {
    return this.#gateways.has(login);
  }

  /** Public keys for encrypting data for a service, the newest first. */
  getKeys(service: string): readonly EncryptionKey[] {
    return this.#keys.get(service) ?? [];
  }

  /** Whether a service has declared a request of this name. */
  hasRequest(name: string): boolean {
    return this.#requests.has(name);
  }

  /** Whether a request must be encrypted. */
  isSensitive(request: string): boolean {
    return this.#sensitive.has(request);
  }

  /** Whether a service of this name is registered, running or not. */
  isService(name: string): boolean {
    return this.#subscriptions.has(name);
  }
}
