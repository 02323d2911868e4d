import { withOffers, type BusDescription } from '@jogakbo/messaging/grants';

/** What the package.json of an app declares about its service. */
export interface Declared {
  owner?: string;
  /** Servers that the service connects to, such as PostgreSQL. */
  uses: string[];
}

export interface Route {
  route: string;
  /** The command or query that the gateway sends. */
  request: string;
  access?: string;
}

export interface MappedService extends Declared {
  name: string;
  isGateway: boolean;
  routes: Route[];
}

/** The messages that one service sends to another. */
export interface Link {
  kind: 'call' | 'event';
  from: string;
  to: string;
  messages: string[];
}

export interface StoreMap {
  services: MappedService[];
  links: Link[];
  /** Messages between one service and all others: not in `links`, because they would hide the other ones. */
  common: Link[];
}

interface Message {
  kind: Link['kind'];
  name: string;
  from: string;
  to: string;
}

export const allServices = 'every service';

const sortBy = <T>(all: readonly T[], getKey: (one: T) => string): T[] =>
  [...all].sort((a, b) => (getKey(a) < getKey(b) ? -1 : getKey(a) > getKey(b) ? 1 : 0));

/** Derives the map from the descriptions that the build wrote. Sorted, so that the same code gives the same map. */
export function buildStoreMap(
  described: readonly BusDescription[],
  declared: ReadonlyMap<string, Declared>,
): StoreMap {
  const bus = sortBy(described, ({ service }) => service);
  const messages = sortBy(listMessages(bus), ({ name }) => name);
  const byName = Map.groupBy(messages, ({ kind, name }) => `${kind} ${name}`);
  const isCommon = (all: readonly Message[]) => bus.length > 3 && all.length === bus.length - 1;
  const [common, others] = [true, false].map((wanted) =>
    [...byName.values()].filter((all) => isCommon(all) === wanted),
  );
  return {
    services: bus.map(({ service: name, isGateway, contracts }) => ({
      name,
      isGateway,
      ...(declared.get(name) ?? { uses: [] }),
      routes: sortBy(
        contracts.flatMap(({ name: request, offered }) =>
          (offered?.routes ?? []).map((route) => ({ route, request, access: offered!.access })),
        ),
        ({ route }) => route.split(' ').reverse().join(' '),
      ),
    })),
    links: groupLinks(others!.flat()),
    common: groupLinks(common!.map(replaceOthers)),
  };
}

function listMessages(bus: readonly BusDescription[]): Message[] {
  return bus.flatMap((one) => {
    const { service, calls, subscribesTo } = withOffers(one, bus);
    const called = [...new Set(calls)].flatMap((name) =>
      listOwners(bus, name).map((to) => ({ kind: 'call' as const, name, from: service, to })),
    );
    const received = [...new Set(subscribesTo)].flatMap((name) =>
      listOwners(bus, name).map((from) => ({ kind: 'event' as const, name, from, to: service })),
    );
    return [...called, ...received].filter(({ from, to }) => from !== to);
  });
}

/** The services that define a message, or publish it as a platform event. */
const listOwners = (bus: readonly BusDescription[], message: string): string[] =>
  bus
    .filter(
      ({ contracts, publishes }) =>
        contracts.some(({ name }) => name === message) || publishes.includes(message),
    )
    .map(({ service }) => service);

function groupLinks(messages: readonly Message[]): Link[] {
  const groups = Map.groupBy(messages, ({ kind, from, to }) => `${kind} ${from} ${to}`);
  const links = [...groups.values()].map((all) => {
    const { kind, from, to } = all[0]!;
    return { kind, from, to, messages: all.map(({ name }) => name) };
  });
  return sortBy(links, ({ kind, from, to }) => `${kind} ${from} ${to}`);
}

/** Describes a message between one service and all others as one message. */
function replaceOthers(all: readonly Message[]): Message {
  const [first, second] = all;
  return first!.from === second!.from ? { ...first!, to: allServices } : { ...first!, from: allServices };
}

/** The links without the requests behind public routes, which the list of routes contains already. */
export function listDirectLinks({ services, links }: StoreMap): Link[] {
  const routed = new Set(services.flatMap(({ routes }) => routes.map(({ request }) => request)));
  const gateways = new Set(services.filter(({ isGateway }) => isGateway).map(({ name }) => name));
  return links
    .map((link) =>
      link.kind === 'call' && gateways.has(link.from)
        ? { ...link, messages: link.messages.filter((name) => !routed.has(name)) }
        : link,
    )
    .filter(({ messages }) => messages.length > 0);
}
