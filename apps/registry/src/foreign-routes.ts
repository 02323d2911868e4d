import {
  CallPolicy,
  listPolicies,
  pathParameters,
  routesOverlap,
  type Access,
  type Priority,
  type ServiceDescription,
} from '@jogakbo/contract';

/** Invalid routes in the metadata of an instance. */
export class BadMetadata extends Error {
  override readonly name = 'BadMetadata';
}

const routeForm = /^(GET|POST|PUT|PATCH|DELETE) (\/(?:[\w.~-]+|\{\w+\})(?:\/(?:[\w.~-]+|\{\w+\}))*)$/;
/** Paths that every gateway answers itself, or that clients trust regardless of the service. */
const reserved = /^\/(\.well-known|health|metrics|docs|problems|openapi\.json|asyncapi\.json)(\/|$)/;
const maxRoutes = 100;

/**
 * Builds the contract of an external HTTP service from the metadata of its instances.
 * @param metadata `routes`: `METHOD /path/{parameter}`, separated by semicolons; `access`: their access policy
 * @param roles the roles of members, in addition to those of the platform
 * @returns a contract without requests if there are no routes: the service is listed, but gets no traffic
 * @throws BadMetadata with the error and the expected form
 */
export function buildContract(
  service: string,
  metadata: Record<string, string>,
  roles: readonly string[] = [],
): ServiceDescription {
  const routes = (metadata['routes'] ?? '')
    .split(/[;\n]/)
    .map((route) => route.trim().replace(/ +/, ' '))
    .filter(Boolean);
  const access = metadata['access'] as Access | undefined;
  const policies = listPolicies(roles);
  if (routes.length > 0 && !(access && policies.includes(access))) {
    throw new BadMetadata(`access: must be one of ${policies.join(', ')}: a route needs an access policy`);
  }
  mustBeRoutes(routes);
  return {
    service,
    description: metadata['description'] ?? 'An external service, reached over HTTP.',
    policy: CallPolicy.parse({}),
    requests: routes.map((route) => toRequest(service, route, access!)),
    events: [],
  };
}

/** @throws BadMetadata if a route is invalid or a duplicate */
export function mustBeRoutes(routes: readonly string[]): void {
  if (routes.length > maxRoutes) throw new BadMetadata(`routes: at most ${maxRoutes}`);
  for (const [at, route] of routes.entries()) {
    mustBeRoute(route);
    const duplicate = routes.slice(0, at).find((other) => isSameRoute(other, route));
    if (duplicate) throw new BadMetadata(`routes: "${route}" duplicates "${duplicate}"`);
  }
}

function mustBeRoute(route: string): void {
  const path = routeForm.exec(route)?.[2];
  if (!path) {
    throw new BadMetadata(`routes: "${route}" is invalid: it must look like "GET /v1/hello/{name}"`);
  }
  if (path.split('/').some((part) => part === '.' || part === '..')) {
    throw new BadMetadata(`routes: "${route}" is invalid: its path contains . or ..`);
  }
  if (reserved.test(path)) throw new BadMetadata(`routes: "${route}" is reserved: choose another path`);
  const parameters = pathParameters(path);
  if (new Set(parameters).size < parameters.length) {
    throw new BadMetadata(`routes: "${route}" has a duplicate parameter`);
  }
}

const isSameRoute = (a: string, b: string): boolean =>
  a.replace(/\{\w+\}/g, '{}') === b.replace(/\{\w+\}/g, '{}');

/** External services cannot declare priorities: what everybody reads is rejected first, what members change last. */
function getPriority(method: string, access: Access): Priority {
  if (access === 'public') return method === 'GET' ? 'low' : 'normal';
  return method === 'GET' ? 'normal' : 'high';
}

function toRequest(service: string, route: string, access: Access): ServiceDescription['requests'][number] {
  const [method, path] = route.split(' ') as [string, string];
  const parameters = pathParameters(path);
  const words = `${method.toLowerCase()}${path}`.replace(/[^A-Za-z0-9]+/g, '-').replace(/-$/, '');
  return {
    // The checksum distinguishes paths with the same words, such as `/a-b` and `/a/b`.
    name: `${service}.${words}${parameters.length > 0 || /[-._~]/.test(path) ? `-${checksum(route)}` : ''}`,
    kind: method === 'GET' ? 'query' : 'command',
    description: '',
    input: {
      type: 'object',
      properties: Object.fromEntries(parameters.map((name) => [name, { type: 'string' }])),
      ...(parameters.length > 0 && { required: parameters }),
    },
    output: {},
    rejections: {},
    idempotency: 'none',
    access,
    priority: getPriority(method, access),
    http: { method, path, parameters, status: 200 },
  };
}

function checksum(text: string): string {
  let sum = 0;
  for (const character of text) sum = (sum * 31 + character.codePointAt(0)!) >>> 0;
  return sum.toString(36);
}

/** Every route of a contract, as `METHOD /path`; its pages as `* /path/*`. */
export const listRoutes = ({ requests }: ServiceDescription): string[] =>
  requests.flatMap(({ http, access, pages }) => {
    if (pages) return [`* ${pages.path}/*`];
    return http && access ? [`${http.method} ${http.path}`] : [];
  });

/** The first claimed route that no granted route includes. */
export const findUngranted = (claims: readonly string[], granted: readonly string[]): string | undefined =>
  claims.find((claim) => !granted.some((grant) => includesRoute(grant, claim)));

/** Whether `grant` matches every request that `claim` matches. */
function includesRoute(grant: string, claim: string): boolean {
  const [parts, claimed] = [grant.split(/[ /]/), claim.split(/[ /]/)];
  return (
    parts.length === claimed.length && parts.every((part, at) => part === claimed[at] || part.startsWith('{'))
  );
}

/** The first claimed route that overlaps with a taken one, and that taken one. */
export function findConflict(
  claims: readonly string[],
  taken: readonly string[],
): [claim: string, holder: string] | undefined {
  for (const claim of claims) {
    const holder = taken.find((route) => routesOverlap(claim, route));
    if (holder) return [claim, holder];
  }
  return undefined;
}
