import type { ServiceDescription } from './description.ts';
import type { JsonSchema } from './json-schema.ts';
import { describeOperation } from './openapi-operation.ts';
import { describeProblem, problemSchema } from './openapi-problem.ts';
import type { Operation } from './openapi-request.ts';

/** A route that the gateway serves itself, in addition to those of the services. */
export interface OwnRoute {
  path: string;
  operationId: string;
  summary: string;
  /** By status: the description of the response, and its body if it has one. */
  responses: Record<string, { description: string; mediaType?: string; schema?: JsonSchema }>;
}

export interface OpenApiOptions {
  title: string;
  version: string;
  description: string;
  /** Base URL of the API; `/` is the origin of the document. */
  serverUrl: string;
  license: { name: string; identifier: string };
  /** The languages of responses; the first one is the default. */
  languages?: readonly string[];
  /** The gateway's own routes, with the name and description of their tag. */
  own?: { tag: string; description: string; routes: readonly OwnRoute[] };
}

/**
 * Renders an OpenAPI 3.1 document from announced contracts. Requests without a route or without an access policy
 * are omitted: clients cannot reach them. The same input gives the same document.
 * @param services announced contracts
 * @param options texts and own routes of the gateway
 */
export function renderOpenApi(services: readonly ServiceDescription[], options: OpenApiOptions): JsonSchema {
  const definitions: Record<string, JsonSchema> = {};
  const paths: Record<string, Record<string, unknown>> = {};
  const tags: { name: string; description: string }[] = [];

  for (const { path, ...route } of options.own?.routes ?? []) {
    paths[path] = { get: describeOwnOperation(options.own!.tag, route) };
  }
  if (options.own) tags.push({ name: options.own.tag, description: options.own.description });

  for (const one of services) {
    const { service, description, requests } = one;
    const reachable = requests.filter((some): some is Operation => Boolean(some.http && some.access));
    if (reachable.length > 0) tags.push({ name: service, description: description || service });
    for (const request of reachable) {
      const methods = (paths[request.http.path] ??= {});
      methods[request.http.method.toLowerCase()] ??= describeOperation(
        one,
        request,
        definitions,
        options.languages,
      );
    }
  }

  return {
    openapi: '3.1.0',
    info: {
      title: options.title,
      version: options.version,
      description: options.description,
      license: options.license,
      contact: { name: options.title },
    },
    servers: [{ url: options.serverUrl }],
    tags,
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      schemas: { Problem: problemSchema, ...definitions },
    },
  };
}

function describeOwnOperation(tag: string, { operationId, summary, responses }: Omit<OwnRoute, 'path'>) {
  const answers = Object.entries(responses).map(([status, { description, mediaType, schema = {} }]) => [
    status,
    { description, ...(mediaType && { content: { [mediaType]: { schema } } }) },
  ]);
  return {
    operationId,
    summary,
    description: `${summary}.`,
    tags: [tag],
    security: [],
    'x-access': 'public',
    responses: { ...Object.fromEntries(answers), '4XX': describeProblem('The request is malformed.') },
  };
}
