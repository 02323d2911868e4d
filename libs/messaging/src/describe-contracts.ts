import { pageRoutes, type AnyContract, type AnyRequest, type ServiceContract } from '@jogakbo/contract';
import type { BusDescription } from './grants.ts';

/** Describes the contracts of a service for its `BusDescription`. */
export const describeContracts = ({ contracts }: ServiceContract): BusDescription['contracts'] =>
  [...contracts.values()].map((one) => ({
    name: one.name,
    kind: one.kind,
    ...(one.kind !== 'event' && one.sensitive && { sensitive: true }),
    ...(isOffered(one) && { offered: toOffer(one) }),
  }));

/** Whether the gateway calls it: it has a route, serves pages, or is the fallback of a request that does. */
const isOffered = (one: AnyContract): one is AnyRequest =>
  one.kind !== 'event' && Boolean(one.http ?? one.pages ?? one.standsInFor);

const toOffer = ({ http, pages, access, priority }: AnyRequest) => ({
  asks: http?.wait ? [http.wait.answer.name] : [],
  subscribesTo: (http?.wait?.until ?? []).map(({ name }) => name),
  routes: [...(http ? [http.route] : []), ...(pages ? pageRoutes(pages.path) : [])],
  ...(access && { access }),
  ...(priority && { priority }),
});
