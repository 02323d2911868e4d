import { pageRoutes, type RequestDescription, type ServiceDescription } from '@jogakbo/contract';
import type { Grants } from '@jogakbo/messaging';

/**
 * What a service announces, with the routes that the deploy step registered for it and no others. Who may use a route is
 * what was registered, whatever the announcement says.
 * @param refuse is told of each route that is left out
 */
export function grantedOnly(
  contract: ServiceDescription,
  grants: Pick<Grants, 'routes'>,
  refuse: (what: string) => void,
): ServiceDescription {
  const { service } = contract;
  const requests = contract.requests.map((request): RequestDescription => {
    const granted = claimsOf(request).map((route) => grants.routes.get(route));
    if (granted.length === 0) return request;
    const other = granted.findIndex((one) => one?.service !== service || one.request !== request.name);
    if (other < 0) return { ...request, access: granted[0]!.access as RequestDescription['access'] };
    const holder = granted[other];
    refuse(
      `${request.name} (${claimsOf(request)[other]}): it is registered for ${holder ? holder.request : 'nothing'}`,
    );
    const { http: _http, pages: _pages, access: _access, ...rest } = request;
    return rest;
  });
  return { ...contract, requests };
}

/** The routes that a request claims. */
const claimsOf = ({ http, pages }: RequestDescription): string[] => [
  ...(http ? [`${http.method} ${http.path}`] : []),
  ...(pages ? pageRoutes(pages.path) : []),
];
