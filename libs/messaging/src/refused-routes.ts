import { pageRoutes, type RequestDescription } from '@jogakbo/contract';
import type { Grants } from './grants.ts';

/** The routes that a request claims, as `METHOD /path`. */
export const listClaimedRoutes = ({ http, pages }: Pick<RequestDescription, 'http' | 'pages'>): string[] => [
  ...(http ? [`${http.method} ${http.path}`] : []),
  ...(pages ? pageRoutes(pages.path) : []),
];

/**
 * Finds the routes of an announced request that the gateway refuses: the deploy step granted them to another request, or
 * to none.
 * @param service the service that announces the request
 */
export function findRefusedRoutes(
  service: string,
  request: RequestDescription,
  { routes }: Pick<Grants, 'routes'>,
): { route: string; holder: string | undefined }[] {
  return listClaimedRoutes(request).flatMap((route) => {
    const granted = routes.get(route);
    const isHolder = granted?.service === service && granted.request === request.name;
    return isHolder ? [] : [{ route, holder: granted?.request }];
  });
}
