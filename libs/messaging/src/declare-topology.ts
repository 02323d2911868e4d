import type { Channel } from 'amqplib';
import { withOffers, type BusDescription } from './grants.ts';
import { assertExchange, assertRetries, exchanges, instanceEvents } from './topology.ts';

/**
 * Declares the exchanges and retry queues of all services, which services may not declare themselves. Idempotent.
 * @param services every service of the store
 * @param operator the login of the broker operator: services answer it, too
 * @param retryDelays how long messages wait before each retry, in milliseconds
 * @throws TopologyMismatch if an object of the same name exists with other properties
 */
export async function declareTopology(
  channel: Channel,
  services: readonly BusDescription[],
  operator: string,
  retryDelays: readonly number[],
): Promise<void> {
  await Promise.all([...listExchanges(services, operator)].map((name) => assertExchange(channel, name)));
  await Promise.all(
    services
      .filter(
        ({ contracts, subscribesTo }) =>
          subscribesTo.length > 0 || contracts.some(({ kind }) => kind === 'command'),
      )
      .map(({ service }) => assertRetries(channel, service, { retryDelays, isPredeclared: false })),
  );
}

/** Includes exchanges of services that others use but that are not built: a missing one would close the channel. */
function listExchanges(services: readonly BusDescription[], operator: string): Set<string> {
  const each = services.map((one) => withOffers(one, services));
  return new Set([
    exchanges.replies(operator),
    ...Object.values(instanceEvents).map(exchanges.events),
    ...each.flatMap(({ service, calls, subscribesTo, publishes }) => [
      ...Object.values(exchanges).map((exchange) => exchange(service)),
      ...calls.map(exchanges.requests),
      ...[...subscribesTo, ...publishes].map(exchanges.events),
    ]),
  ]);
}
