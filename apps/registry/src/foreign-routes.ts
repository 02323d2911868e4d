import {
  accesses,
  CallPolicy,
  pathParameters,
  routesOverlap,
  type Access,
  type ServiceDescription,
} from '@jogakbo/contract';

/** What an instance says of its routes cannot be taken, and why. */
export class BadMetadata extends Error {
  override readonly name = 'BadMetadata';
}

const routeForm = /^(GET|POST|PUT|PATCH|DELETE) (\/(?:[\w.~-]+|\{\w+\})(?:\/(?:[\w.~-]+|\{\w+\}))*)$/;
/** What every gateway answers itself, or what clients trust without asking who answers. */
const reserved = /^\/(\.well-known|health|metrics|docs|problems|openapi\.json|asyncapi\.json)(\/|$)/;
const mostRoutes = 100;

/**
 * The contract of a service that serves plain HTTP, made out of what its instances say in their metadata.
 * @param metadata `routes`: `METHOD /path/{parameter}`, separated by semicolons; `access`: who may use them
 * @returns a contract without any request where it names no routes: such a service is found, and not routed to
 * @throws BadMetadata that says what is wrong and how it must look
 */
export function buildContract(service: string, metadata: Record<string, string>): ServiceDescription {
  const routes = (metadata['routes'] ?? '')
    .split(/[;\n]/)
    .map((route) => route.trim().replace(/ +/, ' '))
    .filter(Boolean);
  const access = metadata['access'] as Access | undefined;
  if (routes.length > 0 && !(access && accesses.includes(access))) {
    throw new BadMetadata(`access: must be one of ${accesses.join(', ')}: nobody may use a route otherwise`);
  }
  mustBeRoutes(routes);
  return {
    service,
    description: metadata['description'] ?? 'A service outside, reached over HTTP.',
    policy: CallPolicy.parse({}),
    requests: routes.map((route) => toRequest(service, route, access!)),
    events: [],
  };
}

/** @throws BadMetadata where one is not a route, or two are the same */
export function mustBeRoutes(routes: readonly string[]): void {
  if (routes.length > mostRoutes) throw new BadMetadata(`routes: more than ${mostRoutes}`);
  for (const [at, route] of routes.entries()) {
    mustBeARoute(route);
    const twin = routes.slice(0, at).find((other) => isTheSame(other, route));
    if (twin) throw new BadMetadata(`routes: "${route}" is the same as "${twin}"`);
  }
}

function mustBeARoute(route: string): void {
  const path = routeForm.exec(route)?.[2];
  if (!path) {
    throw new BadMetadata(`routes: "${route}" is not a route: it must look like "GET /v1/hello/{name}"`);
  }
  if (path.split('/').some((part) => part === '.' || part === '..')) {
    throw new BadMetadata(`routes: "${route}" is not a route: its path leads elsewhere`);
  }
  if (reserved.test(path)) throw new BadMetadata(`routes: "${route}" is not for services`);
  const parameters = pathParameters(path);
  if (new Set(parameters).size < parameters.length) {
    throw new BadMetadata(`routes: "${route}" names a parameter twice`);
  }
}

const isTheSame = (a: string, b: string): boolean =>
  a.replace(/\{\w+\}/g, '{}') === b.replace(/\{\w+\}/g, '{}');

function toRequest(service: string, route: string, access: Access): ServiceDescription['requests'][number] {
  const [method, path] = route.split(' ') as [string, string];
  const parameters = pathParameters(path);
  const words = `${method.toLowerCase()}${path}`.replace(/[^A-Za-z0-9]+/g, '-').replace(/-$/, '');
  return {
    // Two paths may consist of the same words: `/a-b` and `/a/b`. Their names must differ all the same.
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

/** The first of `claims` that takes requests which none of the granted routes takes. */
export const findUngranted = (claims: readonly string[], granted: readonly string[]): string | undefined =>
  claims.find((claim) => !granted.some((grant) => includesRoute(grant, claim)));

/** Whether every request that the second route takes is one that the first takes, too. */
function includesRoute(grant: string, claim: string): boolean {
  const [parts, claimed] = [grant.split(/[ /]/), claim.split(/[ /]/)];
  return (
    parts.length === claimed.length && parts.every((part, at) => part === claimed[at] || part.startsWith('{'))
  );
}

/** A route of `claims` that a request to one of `taken` could reach instead, with the one that has it. */
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
