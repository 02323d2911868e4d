import type { RequestDescription, ServiceDescription } from '@jogakbo/contract';
import { listClaimedRoutes, findRefusedRoutes, type Grants } from '@jogakbo/messaging';

type Allowed = Pick<Grants, 'routes' | 'mayCall' | 'maySubscribe'>;

/**
 * Removes routes that the deploy step did not register for the service. The registered access policy and
 * priority replace the announced ones. Removes `Prefer: wait` if the gateway may not receive its events or send its query.
 * @param login the broker login of the gateway
 * @param refuse receives a description of each removed item
 */
export function filterGrantedRoutes(
  contract: ServiceDescription,
  grants: Allowed,
  login: string,
  refuse: (what: string) => void,
): ServiceDescription {
  const { service } = contract;
  const requests = contract.requests.map((request): RequestDescription => {
    const [first] = listClaimedRoutes(request);
    if (first === undefined) return request;
    const [refused] = findRefusedRoutes(service, request, grants);
    if (!refused) {
      const { access, priority } = grants.routes.get(first)!;
      const { priority: _priority, ...rest } = withGrantedWait(request, grants, login, refuse);
      return { ...rest, access: access as RequestDescription['access'], ...(priority && { priority }) };
    }
    const reason = refused.holder === undefined ? 'not registered' : `registered for ${refused.holder}`;
    refuse(`${request.name} (${refused.route}): ${reason}`);
    const { http: _http, pages: _pages, access: _access, ...rest } = request;
    return rest;
  });
  return { ...contract, requests };
}

/** A binding that the broker refuses would close the channel on which the gateway receives all events. */
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
    grants.mayCall(login, wait.answer) && wait.until.every(({ event }) => grants.maySubscribe(login, event));
  if (isGranted) return request;
  refuse(`${name}: the events and the query for Prefer: wait are not registered`);
  return { ...request, http: rest };
}
