import type { Channel } from 'amqplib';
import { withOffers, type BusDescription } from './grants.ts';
import { assertExchange, assertRetries, exchanges, instanceEvents } from './topology.ts';

/**
 * Declares what services need on the broker and may not declare themselves: the exchanges of each of them, and its retry
 * queues. Idempotent.
 * @param services every service of the store
 * @param operator the login of those who operate the broker: it is answered, too
 * @param ladder how long messages wait between attempts, in milliseconds
 * @throws TopologyMismatch where something of the same name exists with other properties
 */
export async function declareTopology(
  channel: Channel,
  services: readonly BusDescription[],
  operator: string,
  ladder: readonly number[],
): Promise<void> {
  await Promise.all([...listExchanges(services, operator)].map((name) => assertExchange(channel, name)));
  await Promise.all(
    services
      .filter(({ contracts, hears }) => hears.length > 0 || contracts.some(({ kind }) => kind === 'command'))
      .map(({ service }) => assertRetries(channel, service, { ladder, isGiven: false })),
  );
}

/** Those of a service that is called or heard belong to it also while it is not built: a missing one costs the channel. */
function listExchanges(services: readonly BusDescription[], operator: string): Set<string> {
  const each = services.map((one) => withOffers(one, services));
  return new Set([
    exchanges.replies(operator),
    ...Object.values(instanceEvents).map(exchanges.events),
    ...each.flatMap(({ service, calls, hears, tells }) => [
      ...Object.values(exchanges).map((exchange) => exchange(service)),
      ...calls.map(exchanges.requests),
      ...[...hears, ...tells].map(exchanges.events),
    ]),
  ]);
}
