import type { RequestDescription, ServiceDescription } from '@jogakbo/contract';
import { claimedRoutes, refusedRoutes, type Grants } from '@jogakbo/messaging';

type Allowed = Pick<Grants, 'routes' | 'mayCall' | 'mayHear'>;

/**
 * What a service announces, with the routes that the deploy step registered for it and no others. Who may use a route is
 * what was registered, whatever the announcement says. Clients wait for nothing that the gateway may not hear or ask.
 * @param login the gateway's own
 * @param refuse is told of what is left out
 */
export function grantedOnly(
  contract: ServiceDescription,
  grants: Allowed,
  login: string,
  refuse: (what: string) => void,
): ServiceDescription {
  const { service } = contract;
  const requests = contract.requests.map((request): RequestDescription => {
    const [first] = claimedRoutes(request);
    if (first === undefined) return request;
    const [refused] = refusedRoutes(service, request, grants);
    if (!refused) {
      const access = grants.routes.get(first)!.access as RequestDescription['access'];
      return { ...withGrantedWait(request, grants, login, refuse), access };
    }
    refuse(`${request.name} (${refused.route}): it is registered for ${refused.holder ?? 'nothing'}`);
    const { http: _http, pages: _pages, access: _access, ...rest } = request;
    return rest;
  });
  return { ...contract, requests };
}

/** A bind that the broker refuses would close the channel on which the gateway listens for all others. */
function withGrantedWait(
  request: RequestDescription,
  grants: Allowed,
  login: string,
  refuse: (what: string) => void,
): RequestDescription {
  const { name, http } = request;
  if (!http?.wait) return request;
  const { wait, ...rest } = http;
  const isGranted =
    grants.mayCall(login, wait.answer) && wait.until.every(({ event }) => grants.mayHear(login, event));
  if (isGranted) return request;
  refuse(`${name}: what its clients would wait for is not registered`);
  return { ...request, http: rest };
}
