import {
  describe,
  describeUses,
  type AnyContract,
  type AnyEvent,
  type MigrationDescription,
  type ServiceDescription,
  type Uses,
} from '@jogakbo/contract';
import {
  ReadSettings,
  SettingsRequested,
  SettingsChanged,
  SettingsReported,
} from '@jogakbo/contracts-config';
import { getHandledContracts } from '@jogakbo/messaging';
import { describeContracts } from '@jogakbo/messaging/describe-contracts';
import type { BusDescription } from '@jogakbo/messaging/grants';
import type { Type } from '@nestjs/common';
import { getMigrationName, serviceOptions, type MigrationClass, type ServiceOptions } from './service.ts';

/**
 * Describes the contracts, calls and subscriptions of a service, without running it. The deploy step derives the
 * permissions of its login from that.
 */
export function describeBus(module: Type): BusDescription {
  const options = serviceOptions(module);
  const { contract, isGateway = false } = options;
  const { calls, receives } = listUses(options);
  return {
    service: contract.name,
    contracts: describeContracts(contract),
    calls: listNames(calls),
    subscribesTo: listNames(receives),
    publishes: listNames([SettingsReported]),
    isGateway,
  };
}

/**
 * Describes the contract of a service, what it uses of others and its migrations, without running it. Its instances announce
 * this; the deploy step compares it with the versions that are running.
 */
export function describeContract(options: ServiceOptions): ServiceDescription {
  const { contract, migrations } = options;
  return {
    ...describe(contract),
    uses: describeUses(listUses(options)),
    ...(migrations && { migrations: migrations.map(describeMigration) }),
  };
}

const describeMigration = (Migration: MigrationClass): MigrationDescription => ({
  name: getMigrationName(Migration),
  ...(Migration.unusedSince !== undefined && { unusedSince: Migration.unusedSince }),
});

/** What a service uses of others, including what all services use of the config server. */
function listUses(options: ServiceOptions): Uses {
  const { contract, calls = [] } = options;
  const isForeign = ({ service }: AnyContract): boolean => service !== contract.name;
  return {
    calls: [...calls, ReadSettings].filter(isForeign),
    receives: [...listSubscribedEvents(options), SettingsChanged, SettingsRequested].filter(isForeign),
    publishes: [SettingsReported].filter(isForeign),
  };
}

const listNames = (contracts: readonly AnyContract[]): string[] =>
  [...new Set(contracts.map(({ name }) => name))].sort();

/** The events that handlers, sagas and projections receive from the queue of the service. */
export function listHandledEvents({ handlers, sagas, projections }: ServiceOptions): AnyEvent[] {
  return [
    ...(handlers ?? []).flatMap(getHandledContracts).filter((one) => one.kind === 'event'),
    ...(sagas ?? []).flatMap(({ start, transitions }) => [
      ...(start.contract.kind === 'event' ? [start.contract] : []),
      ...[...transitions.values()].map(({ event }) => event as AnyEvent),
    ]),
    ...(projections ?? []).flatMap(({ foreign }) => [...foreign.values()].map(({ event }) => event)),
  ];
}

/** Also those of soft state; for the config server also `SettingsReported`. */
const listSubscribedEvents = (options: ServiceOptions): AnyEvent[] => [
  ...(options.listensTo ?? []),
  ...listHandledEvents(options),
  ...(options.contract.name === ReadSettings.service ? [SettingsReported] : []),
];

/**
 * Restricts what a service sends: its own contracts, and the requests that it declares as `calls`. The broker would reject
 * the rest too, but later, and for all users of the channel.
 * @returns a check that throws Error for an undeclared contract
 */
export function createSendCheck({ contract, calls = [] }: ServiceOptions): (wanted: AnyContract) => void {
  const declared = new Set([...calls, ReadSettings].map(({ name }) => name));
  return ({ kind, name, service }) => {
    if (service === contract.name || declared.has(name)) return;
    throw new Error(
      kind === 'event'
        ? `${contract.name} cannot publish ${name}: it belongs to ${service}`
        : `${contract.name} does not declare that it calls ${name}: add it to \`calls\` of @Service`,
    );
  };
}

/** @throws Error if a request of the contract has no handler */
export function assertAllHandled({ contract, handlers = [], sagas = [] }: ServiceOptions): void {
  const handled = new Set<AnyContract>([
    ...handlers.flatMap(getHandledContracts),
    ...sagas.map(({ start }) => start.contract),
  ]);
  const missing = [...contract.contracts.values()].filter((one) => one.kind !== 'event' && !handled.has(one));
  if (missing.length > 0)
    throw new Error(`no handler for ${missing.map(({ name }) => name).join(', ')}: add it to @Service`);
}
