import { pageRoutes, type AnyContract, type AnyEvent, type AnyRequest } from '@jogakbo/contract';
import { ReadSettings, SettingsAsked, SettingsChanged, SettingsTold } from '@jogakbo/contracts-config';
import { handledBy } from '@jogakbo/messaging';
import type { BusDescription } from '@jogakbo/messaging/grants';
import type { Type } from '@nestjs/common';
import { serviceOptions, type ServiceOptions } from './service.ts';

/**
 * What a service does on the bus, without running it: what it owns, and what of others it calls and hears. The deploy
 * step makes of it what its login may do.
 */
export function describeBus(module: Type): BusDescription {
  const options = serviceOptions(module);
  const { contract, calls = [], isGateway = false } = options;
  const hears = [...eventsHeard(options), SettingsChanged, SettingsAsked].filter(
    ({ service }) => service !== contract.name,
  );
  return {
    service: contract.name,
    contracts: [...contract.contracts.values()].map((one) => ({
      name: one.name,
      kind: one.kind,
      ...(one.kind !== 'event' && one.sensitive && { sensitive: true }),
      ...(isOffered(one) && { offered: toOffer(one) }),
    })),
    calls: listNames([...calls, ReadSettings].filter(({ service }) => service !== contract.name)),
    hears: listNames(hears),
    tells: listNames([SettingsTold]),
    isGateway,
  };
}

/** Whether the gateway asks for it: it has a route, is pages, or answers in place of one that does. */
const isOffered = (one: AnyContract): one is AnyRequest =>
  one.kind !== 'event' && Boolean(one.http ?? one.pages ?? one.standsInFor);

const toOffer = ({ http, pages, access }: AnyRequest) => ({
  asks: http?.wait ? [http.wait.answer.name] : [],
  hears: (http?.wait?.until ?? []).map(({ name }) => name),
  routes: [...(http ? [http.route] : []), ...(pages ? pageRoutes(pages.path) : [])],
  ...(access && { access }),
});

const listNames = (contracts: readonly AnyContract[]): string[] =>
  [...new Set(contracts.map(({ name }) => name))].sort();

/** By handlers, sagas and projections, and as soft state; and what only the config server listens for. */
function eventsHeard({ contract, handlers, listensTo, sagas, projections }: ServiceOptions): AnyEvent[] {
  return [
    ...(listensTo ?? []),
    ...(handlers ?? []).flatMap(handledBy).filter((one) => one.kind === 'event'),
    ...(sagas ?? []).flatMap(({ start, transitions }) => [
      start.event,
      ...[...transitions.values()].map(({ event }) => event as AnyEvent),
    ]),
    ...(projections ?? []).flatMap(({ announced }) => [...announced.values()].map(({ event }) => event)),
    ...(contract.name === ReadSettings.service ? [SettingsTold] : []),
  ];
}

/**
 * Guards what leaves a service: requests that it declares as `calls`, its own contracts, and nothing else. The broker
 * would refuse the rest too, but later and to everybody on the same channel.
 * @returns throws Error where a contract is not declared
 */
export function declaredOnly({ contract, calls = [] }: ServiceOptions): (wanted: AnyContract) => void {
  const declared = new Set([...calls, ReadSettings].map(({ name }) => name));
  return ({ kind, name, service }) => {
    if (service === contract.name || declared.has(name)) return;
    throw new Error(
      kind === 'event'
        ? `${contract.name} cannot announce ${name}: it belongs to ${service}`
        : `${contract.name} does not declare that it calls ${name}: add it to \`calls\` of @Service`,
    );
  };
}
