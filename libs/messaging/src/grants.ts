import { EncryptionKey, routesOverlap } from '@jogakbo/contract';
import { z } from 'zod';

/** Public keys of one service that data for it may be encrypted with, the newest first. */
export const EncryptionKeys = z.array(EncryptionKey).min(1).max(10);
export type EncryptionKeys = z.infer<typeof EncryptionKeys>;

/** What a service does on the bus, as far as it can be said before it runs: the build writes it to `dist/bus.json`. */
export const BusDescription = z.object({
  service: z.string(),
  contracts: z.array(
    z.object({
      name: z.string(),
      kind: z.enum(['command', 'query', 'event']),
      /** Its input and output are encrypted on the bus. */
      sensitive: z.boolean().optional(),
      /** Set where the gateway asks for it. */
      offered: z
        .object({
          /** Other requests that the gateway asks, for a client that waits for the end. */
          asks: z.array(z.string()),
          /** Events that the gateway listens to, likewise. */
          hears: z.array(z.string()),
          /** `METHOD /path/{parameter}`, or `METHOD /path/*` for all pages below a path. */
          routes: z.array(z.string()).default([]),
          /** Who may use these routes. */
          access: z.string().optional(),
        })
        .optional(),
    }),
  ),
  /** Requests of other services that it asks or sends. */
  calls: z.array(z.string()),
  /** Events of others that it takes or listens to. */
  hears: z.array(z.string()),
  /** Events of the platform that it announces beside its own. */
  tells: z.array(z.string()),
  /** True for the public gateway: it may ask for all that is offered to it, and hear what clients wait for. */
  isGateway: z.boolean(),
  /** The deploy step adds them; a build has none. */
  encryptionKeys: EncryptionKeys.optional(),
});
export type BusDescription = z.infer<typeof BusDescription>;

/** A route that two services claim: the deploy step leaves it to the one that had it first. */
export interface RefusedRoute {
  route: string;
  service: string;
  holder: string;
}

/** A route that the deploy step registered. */
export interface GrantedRoute {
  service: string;
  request: string;
  access: string | undefined;
}

/** Adds what the gateway may do, which depends on what the others offer. */
export function withOffers(one: BusDescription, all: readonly BusDescription[]): BusDescription {
  if (!one.isGateway) return one;
  const offers = all.flatMap(({ contracts }) => contracts.filter(({ offered }) => offered));
  return {
    ...one,
    calls: [...one.calls, ...offers.flatMap(({ name, offered }) => [name, ...offered!.asks])],
    hears: [...one.hears, ...offers.flatMap(({ offered }) => offered!.hears)],
  };
}

/**
 * Decides at deploy time which services there are and which routes each of them holds.
 * @param described what the present builds declare
 * @param before what was registered the last time: a route stays with the service that had it first
 * @param known every service that still exists; one whose build is missing keeps what it had
 * @param keys the public keys of services; one whose keys are not given keeps those that it had
 */
export function registerServices(
  described: readonly BusDescription[],
  before: readonly BusDescription[],
  known: readonly string[],
  keys: ReadonlyMap<string, EncryptionKeys> = new Map(),
): { services: BusDescription[]; refused: RefusedRoute[] } {
  const names = new Set([...described.map(({ service }) => service), ...known]);
  const find = (all: readonly BusDescription[], name: string) => all.find(({ service }) => service === name);
  const present = [...names].flatMap((name) => find(described, name) ?? find(before, name) ?? []);
  const claims = present.flatMap((one) => listRoutes(one).map((route) => ({ service: one.service, route })));
  const had = (service: string, route: string): boolean => {
    const earlier = find(before, service);
    return earlier !== undefined && listRoutes(earlier).includes(route);
  };
  const held: { service: string; route: string }[] = [];
  const refused: RefusedRoute[] = [];
  for (const claim of claims.sort(
    (a, b) => Number(had(b.service, b.route)) - Number(had(a.service, a.route)),
  )) {
    const holder = held.find(({ service, route }) => service !== claim.service && isSame(route, claim.route));
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

/** Whether a request exists that both routes would take. */
const isSame = (a: string, b: string): boolean => routesOverlap(a, b) || isBelow(a, b) || isBelow(b, a);

/** Pages own all below their path, for every method. */
function isBelow(route: string, pages: string): boolean {
  if (!pages.endsWith('/*')) return false;
  const [path, head] = [route.split(' ')[1]!, pages.split(' ')[1]!.slice(0, -2)];
  return path === head || path.startsWith(`${head}/`);
}

/** Who may do what on the bus, as the deploy step registered it. */
export class Grants {
  readonly #callers = new Map<string, Set<string>>();
  readonly #hears = new Map<string, Set<string>>();
  readonly #gateways = new Set<string>();
  readonly #keys = new Map<string, readonly EncryptionKey[]>();
  readonly #sensitive = new Set<string>();
  /** By `METHOD /path`. */
  readonly routes = new Map<string, GrantedRoute>();

  constructor(services: readonly BusDescription[]) {
    for (const one of services) {
      const { service, calls, hears, isGateway, contracts, encryptionKeys = [] } = withOffers(one, services);
      this.#keys.set(service, encryptionKeys);
      if (isGateway) this.#gateways.add(service);
      this.#hears.set(service, new Set(hears));
      for (const name of calls) {
        const callers = this.#callers.get(name);
        if (callers) callers.add(service);
        else this.#callers.set(name, new Set([service]));
      }
      for (const { name: request, offered, sensitive } of contracts) {
        if (sensitive) this.#sensitive.add(request);
        for (const route of offered?.routes ?? [])
          this.routes.set(route, { service, request, access: offered!.access });
      }
    }
  }

  /** Whether this login may send this request of another service. */
  mayCall(login: string, request: string): boolean {
    return this.#callers.get(request)?.has(login) ?? false;
  }

  /** Whether this login takes or listens to this event of another service. */
  mayHear(login: string, event: string): boolean {
    return this.#hears.get(login)?.has(event) ?? false;
  }

  /** Whether this login is the public gateway: it alone says on behalf of which member a request comes. */
  isGateway(login: string): boolean {
    return this.#gateways.has(login);
  }

  /** The public keys that data for a service may be encrypted with, the newest first. */
  getKeys(service: string): readonly EncryptionKey[] {
    return this.#keys.get(service) ?? [];
  }

  /** Whether a request must be encrypted. */
  isSensitive(request: string): boolean {
    return this.#sensitive.has(request);
  }

  /** Whether a service of this name is registered, whether it runs or not. */
  isService(name: string): boolean {
    return this.#hears.has(name);
  }
}
