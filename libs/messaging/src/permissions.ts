import { withOffers, type BusDescription } from './grants.ts';
import { exchanges, grantsStream, instanceEvents, queues } from './topology.ts';

/** Permissions of a login in RabbitMQ format: regular expressions for names, and for keys of topic exchanges. */
export interface Permissions {
  configure: string;
  write: string;
  read: string;
  topics: { exchange: string; write: string; read: string }[];
}

/**
 * Computes the least privileges that each service needs on the bus, for a login with the name of the service.
 *
 * - Queues: it declares and consumes its own queues, but cannot consume its dead letters.
 * - Requests: it writes to the exchanges of the services that it calls, and binds its own. Events: it publishes to its own
 *   exchange, and binds to the exchanges of the services whose events it subscribes to.
 * - Answers: it writes to the reply exchanges of its callers, and binds its own reply keys.
 * - Retry and dead letters: its own. The default exchange, which reaches every queue: nothing.
 * @param all every service of the store, to find the callers of each service
 * @param operator the login of the broker operator, which may call every service
 */
export function computePermissions(
  all: readonly BusDescription[],
  operator: string,
): Map<string, Permissions> {
  const whole = all.map((one) => withOffers(one, all));
  return new Map(whole.map((one) => [one.service, toPermissions(one, whole, operator)]));
}

function toPermissions(one: BusDescription, all: readonly BusDescription[], operator: string): Permissions {
  const { service } = one;
  const consumed = [...listWorkQueues(service), matchVersioned(queues.queries(service))];
  const transient = [queues.reply, queues.listener].map((queue) => matchTransient(queue, service));
  const mine = [...consumed, ...transient, toLiteral(queues.dead(service))];
  const keys = new TopicKeys();
  addContracts(keys, one);
  addReplies(keys, one, all, operator);
  // The patterns must match what `retryKey` and `returnKeys` compute.
  keys.mayWrite(exchanges.retry(service), ...listWorkQueues(service).map((queue) => `\\d+\\.${queue}`));
  keys.mayWrite(exchanges.dead(service), toLiteral(queues.dead(service)));
  keys.mayRead(exchanges.dead(service), toLiteral(queues.dead(service)));
  keys.mayRead(exchanges.dead(service), ...listWorkQueues(service).map((queue) => `(\\*\\.)?${queue}`));
  return {
    configure: matchAny(mine),
    write: matchAny([...mine, ...keys.written]),
    read: matchAny([...consumed, ...transient, ...keys.read, toLiteral(grantsStream)]),
    topics: keys.topics,
  };
}

/**
 * Includes its own requests: `publishLater` sends them over the bus. It may bind its own events for a `Listener`; their
 * handlers run where they are published, so an own event that is published later reaches other services only.
 */
function addContracts(
  keys: TopicKeys,
  { service, contracts, calls, subscribesTo, publishes }: BusDescription,
): void {
  const requests = contracts.filter(({ kind }) => kind !== 'event').map(({ name }) => name);
  const events = contracts.filter(({ kind }) => kind === 'event').map(({ name }) => name);
  const platform = Object.values(instanceEvents);
  for (const name of [...calls, ...requests]) keys.mayWrite(exchanges.requests(name), matchVersioned(name));
  keys.mayRead(exchanges.requests(service), ...requests.map(matchVersioned));
  for (const name of [...events, ...publishes, ...platform])
    keys.mayWrite(exchanges.events(name), toLiteral(name));
  for (const name of [...subscribesTo, ...events, ...platform])
    keys.mayRead(exchanges.events(name), toLiteral(name));
}

function addReplies(
  keys: TopicKeys,
  { service, contracts }: BusDescription,
  all: readonly BusDescription[],
  operator: string,
): void {
  const isCaller = ({ calls }: BusDescription) =>
    calls.some((called) => contracts.some(({ name, kind }) => name === called && kind !== 'event'));
  for (const login of [service, operator, ...all.filter(isCaller).map((caller) => caller.service)])
    keys.mayWrite(exchanges.replies(login), matchTransient(queues.reply, login));
  keys.mayRead(exchanges.replies(service), matchTransient(queues.reply, service));
}

/** Routing keys that a login may use, by exchange. An exchange without keys is not permitted at all. */
class TopicKeys {
  readonly #keys = new Map<string, { write: string[]; read: string[] }>();

  mayWrite(exchange: string, ...patterns: string[]): void {
    this.#getKeys(exchange).write.push(...patterns);
  }

  mayRead(exchange: string, ...patterns: string[]): void {
    this.#getKeys(exchange).read.push(...patterns);
  }

  #getKeys(exchange: string): { write: string[]; read: string[] } {
    const keys = this.#keys.get(exchange) ?? { write: [], read: [] };
    this.#keys.set(exchange, keys);
    return keys;
  }

  /** Names of exchanges, as patterns. */
  get written(): string[] {
    return [...this.#keys].filter(([, { write }]) => write.length > 0).map(([name]) => toLiteral(name));
  }

  /** Names of exchanges, as patterns. */
  get read(): string[] {
    return [...this.#keys].filter(([, { read }]) => read.length > 0).map(([name]) => toLiteral(name));
  }

  get topics(): Permissions['topics'] {
    return [...this.#keys]
      .filter(([, { write, read }]) => write.length + read.length > 0)
      .map(([exchange, { write, read }]) => ({ exchange, write: matchAny(write), read: matchAny(read) }));
  }
}

/** Patterns for the queues of commands and events, including those of versions. */
const listWorkQueues = (service: string): string[] =>
  [queues.commands(service), queues.events(service)].map(matchVersioned);

/** RabbitMQ's convention for no permission: matches no name. */
const nothing = '^$';

const toLiteral = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');

/** Matches a name with or without a version: `<name>@<version>`. */
const matchVersioned = (name: string): string => `${toLiteral(name)}(@[\\w.+-]+)?`;

const matchTransient = (queue: (login: string, id: string) => string, login: string): string =>
  `${toLiteral(queue(login, ''))}[\\w-]+`;

const matchAny = (patterns: readonly string[]): string =>
  patterns.length > 0 ? `^(${[...new Set(patterns)].sort().join('|')})$` : nothing;
