import { withOffers, type BusDescription } from './grants.ts';
import { exchanges, grantsStream, instanceEvents, queues } from './topology.ts';

/** What a login may do, as RabbitMQ takes it: regular expressions over names, and over keys of topic exchanges. */
export interface Permissions {
  configure: string;
  write: string;
  read: string;
  topics: { exchange: string; write: string; read: string }[];
}

/**
 * The least that every service needs on the bus, for a login that is called like the service.
 *
 * - Queues: its own; it consumes them, and makes them. Its dead letters it cannot take out again.
 * - Requests: it writes to the exchanges of the services that it calls, and binds its own. Events: it announces in its own
 *   exchange, and binds to those of the services that it hears.
 * - Answers: it writes to those who call it, and binds its own reply keys.
 * - Retry and dead letters: its own. The default exchange, which reaches every queue: nothing.
 * @param all every service of the store, for who calls whom
 * @param operator the login of those who operate the broker: they may ask everybody
 */
export function computePermissions(
  all: readonly BusDescription[],
  operator: string,
): Map<string, Permissions> {
  const whole = all.map((one) => withOffers(one, all));
  return new Map(whole.map((one) => [one.service, permissions(one, whole, operator)]));
}

function permissions(one: BusDescription, all: readonly BusDescription[], operator: string): Permissions {
  const { service } = one;
  const consumed = [...workQueues(service), versioned(queues.queries(service))];
  const fleeting = [queues.reply, queues.hearing].map((queue) => matchFleeting(queue, service));
  const mine = [...consumed, ...fleeting, literal(queues.dead(service))];
  const keys = new TopicKeys();
  addContracts(keys, one);
  addReplies(keys, one, all, operator);
  keys.mayWrite(exchanges.retry(service), ...workQueues(service).map((queue) => `\\d+\\.${queue}`));
  keys.mayWrite(exchanges.dead(service), literal(queues.dead(service)));
  keys.mayRead(exchanges.dead(service), literal(queues.dead(service)));
  keys.mayRead(exchanges.dead(service), ...workQueues(service).map((queue) => `(\\*\\.)?${queue}`));
  return {
    configure: matchAny(mine),
    write: matchAny([...mine, ...keys.written]),
    read: matchAny([...consumed, ...fleeting, ...keys.read, literal(grantsStream)]),
    topics: keys.topics,
  };
}

/** What it sends to itself goes over the bus where it is for later. */
function addContracts(keys: TopicKeys, { service, contracts, calls, hears, tells }: BusDescription): void {
  const requests = contracts.filter(({ kind }) => kind !== 'event').map(({ name }) => name);
  const events = contracts.filter(({ kind }) => kind === 'event').map(({ name }) => name);
  const platform = Object.values(instanceEvents);
  for (const name of [...calls, ...requests]) keys.mayWrite(exchanges.requests(name), versioned(name));
  keys.mayRead(exchanges.requests(service), ...requests.map(versioned));
  for (const name of [...events, ...tells, ...platform]) keys.mayWrite(exchanges.events(name), literal(name));
  for (const name of [...hears, ...events, ...platform]) keys.mayRead(exchanges.events(name), literal(name));
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
    keys.mayWrite(exchanges.replies(login), matchFleeting(queues.reply, login));
  keys.mayRead(exchanges.replies(service), matchFleeting(queues.reply, service));
}

/** Which routing keys a login may use, by exchange. An exchange without any is closed to it by name. */
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
    return [...this.#keys].filter(([, { write }]) => write.length > 0).map(([name]) => literal(name));
  }

  /** Names of exchanges, as patterns. */
  get read(): string[] {
    return [...this.#keys].filter(([, { read }]) => read.length > 0).map(([name]) => literal(name));
  }

  get topics(): Permissions['topics'] {
    return [...this.#keys]
      .filter(([, { write, read }]) => write.length + read.length > 0)
      .map(([exchange, { write, read }]) => ({ exchange, write: matchAny(write), read: matchAny(read) }));
  }
}

/** Those that hold messages for their next attempt, and those of a version. */
const workQueues = (service: string): string[] =>
  [queues.commands(service), queues.events(service)].map(versioned);

/** RabbitMQ's own word for it: it fits no name. */
const nothing = '^$';

const literal = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');

/** A part of the calls may go to a version of its own: `<name>@<version>`. */
const versioned = (name: string): string => `${literal(name)}(@[\\w.+-]+)?`;

const matchFleeting = (queue: (login: string, id: string) => string, login: string): string =>
  `${literal(queue(login, ''))}[\\w-]+`;

const matchAny = (patterns: readonly string[]): string =>
  patterns.length > 0 ? `^(${[...new Set(patterns)].sort().join('|')})$` : nothing;
