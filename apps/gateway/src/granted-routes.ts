import type { RequestDescription, ServiceDescription } from '@jogakbo/contract';
import { claimedRoutes, refusedRoutes, type Grants } from '@jogakbo/messaging';

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
    const [first] = claimedRoutes(request);
    if (first === undefined) return request;
    const [refused] = refusedRoutes(service, request, grants);
    if (!refused)
      return { ...request, access: grants.routes.get(first)!.access as RequestDescription['access'] };
    refuse(`${request.name} (${refused.route}): it is registered for ${refused.holder ?? 'nothing'}`);
    const { http: _http, pages: _pages, access: _access, ...rest } = request;
    return rest;
  });
  return { ...contract, requests };
}
