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
 * - Requests: it sends what it calls, and binds what it owns. Events: it announces its own, and binds what it hears.
 * - Answers: it sends them to those who call it, and binds its own reply keys.
 * - Retry and dead letters: into its own queues. The default exchange, which reaches every queue: nothing.
 * @param all every service of the store, for who calls whom
 * @param operator the login of those who operate the broker: they may ask everybody
 */
export function permissionsOf(all: readonly BusDescription[], operator: string): Map<string, Permissions> {
  const whole = all.map((one) => withOffers(one, all));
  return new Map(whole.map((one) => [one.service, permissions(one, whole, operator)]));
}

function permissions(
  { service, contracts, calls, hears, tells }: BusDescription,
  all: readonly BusDescription[],
  operator: string,
): Permissions {
  const requests = contracts.filter(({ kind }) => kind !== 'event').map(({ name }) => name);
  const events = contracts.filter(({ kind }) => kind === 'event').map(({ name }) => name);
  const platform = Object.values(instanceEvents);
  const callers = all.filter((one) => one.calls.some((name) => requests.includes(name)));
  const worked = [queues.commands(service), queues.events(service)].map(versioned);
  const consumed = [...worked, versioned(queues.queries(service))];
  const fleeting = [queues.reply, queues.hearing].map((queue) => fleetingOf(queue, service));
  const dead = literal(queues.dead(service));
  const mine = [...consumed, ...fleeting, dead];
  const { commands, replies, retry } = exchanges;
  return {
    configure: anyOf(mine),
    write: anyOf([...mine, ...Object.values(exchanges).map(literal)]),
    read: anyOf([
      ...consumed,
      ...fleeting,
      ...[commands, exchanges.events, replies, exchanges.dead, grantsStream].map(literal),
    ]),
    topics: [
      {
        exchange: commands,
        // What it sends to itself goes over the bus where it is for later.
        write: anyOf([...calls, ...requests].map(versioned)),
        read: anyOf(requests.map(versioned)),
      },
      {
        exchange: exchanges.events,
        write: anyOf([...events, ...tells, ...platform].map(literal)),
        read: anyOf([...hears, ...events, ...platform].map(literal)),
      },
      {
        exchange: replies,
        write: anyOf(
          [service, operator, ...callers.map((one) => one.service)].map((login) =>
            fleetingOf(queues.reply, login),
          ),
        ),
        read: anyOf([fleetingOf(queues.reply, service)]),
      },
      { exchange: retry, write: anyOf(worked.map((queue) => `\\d+\\.${queue}`)), read: nothing },
      {
        exchange: exchanges.dead,
        write: anyOf([dead]),
        read: anyOf([dead, ...worked.map((queue) => `(\\*\\.)?${queue}`)]),
      },
    ],
  };
}

/** RabbitMQ's own word for it: it fits no name. */
const nothing = '^$';

const literal = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');

/** A part of the calls may go to a version of its own: `<name>@<version>`. */
const versioned = (name: string): string => `${literal(name)}(@[\\w.+-]+)?`;

const fleetingOf = (queue: (login: string, id: string) => string, login: string): string =>
  `${literal(queue(login, ''))}[\\w-]+`;

const anyOf = (patterns: readonly string[]): string =>
  patterns.length > 0 ? `^(${[...new Set(patterns)].sort().join('|')})$` : nothing;
