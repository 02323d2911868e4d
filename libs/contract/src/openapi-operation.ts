import { getRequiredRole } from './contract.ts';
import type { JsonSchema, RequestDescription, ServiceDescription } from './description.ts';
import { liftDefinitions } from './lift-definitions.ts';
import { describeProblem } from './openapi-problem.ts';

type Http = NonNullable<RequestDescription['http']>;
/** A request that can be reached over HTTP. */
export type Operation = RequestDescription & { http: Http };

const describeHeader = (description: string, schema: JsonSchema = { type: 'string' }) => ({
  description,
  schema,
});

/**
 * Describes one operation of an OpenAPI document.
 * @param service the service of the request
 * @param languages of responses, the default first
 * @param definitions receives the schemas that others refer to
 */
export function describeOperation(
  { service, requests }: ServiceDescription,
  request: Operation,
  definitions: Record<string, JsonSchema>,
  languages: readonly string[] = [],
) {
  const { name, description, http, access } = request;
  const input = liftDefinitions(request.input, name, definitions);
  const output = request.output && liftDefinitions(request.output, `${name}.answer`, definitions);
  // A client that waited gets the output of another query.
  const outcomeQuery = requests.find(({ name }) => name === http.wait?.answer);
  const outcome =
    outcomeQuery?.output && liftDefinitions(outcomeQuery.output, `${outcomeQuery.name}.answer`, definitions);
  const summary = capitalize(name.slice(name.indexOf('.') + 1).replaceAll('-', ' '));
  return {
    operationId: name,
    summary,
    description: `${description || `${summary}.`} ${describeAccess(access!)}`,
    tags: [service],
    security: access === 'public' ? [{}, { bearer: [] }] : [{ bearer: [] }],
    // Machine-readable access policy: OpenAPI can express neither the roles of a JWT nor ownership.
    'x-access': access,
    parameters: describeParameters(request, input, languages),
    ...describeRequestBody(http, input),
    responses: describeResponses(request, output, outcome ?? output),
  };
}

const accessTexts: Record<string, string> = {
  public: 'Requires no authentication.',
  member: 'Requires a signed-in member.',
  owner: 'Requires the owner.',
};
const describeAccess = (access: string): string =>
  Object.hasOwn(accessTexts, access) ? accessTexts[access]! : `Requires the role ${access}.`;

/** `*`, or entity tags separated by commas (RFC 9110, 13.1.1). */
const entityTags: JsonSchema = {
  type: 'string',
  pattern: '^(\\*|(W/)?"[!#-~]*"([ \\t]*,[ \\t]*(W/)?"[!#-~]*")*)$',
  examples: ['"3"'],
};

const hasBody = ({ method }: Http): boolean => method !== 'GET' && method !== 'DELETE';

function describeParameters(
  { http, idempotency }: Operation,
  input: JsonSchema,
  languages: readonly string[],
): unknown[] {
  const properties = getProperties(input);
  const describeHeaderParameter = (
    name: string,
    required: boolean,
    description: string,
    schema: JsonSchema,
  ) => ({
    name,
    in: 'header',
    required,
    description,
    schema,
  });
  const inPath = http.parameters.map((name) => ({
    name,
    in: 'path',
    required: true,
    schema: properties[name] ?? { type: 'string' },
  }));
  const free = Object.keys(properties).filter(
    (name) => !http.parameters.includes(name) && name !== http.ifMatch,
  );
  const inQuery = (hasBody(http) ? [] : free).map((name) => ({
    name,
    in: 'query',
    required: getRequired(input).includes(name),
    schema: properties[name],
  }));
  return [
    ...inPath,
    ...inQuery,
    ...(http.ifMatch
      ? [describeHeaderParameter('If-Match', true, 'The ETag of the version that was read.', entityTags)]
      : []),
    ...(idempotency === 'none'
      ? []
      : [
          describeHeaderParameter(
            'Idempotency-Key',
            idempotency === 'required',
            'A value that the client chooses. A retry with the same value has no second effect.',
            { type: 'string', pattern: '^[!-~]{1,255}$' },
          ),
        ]),
    ...(http.wait
      ? [
          describeHeaderParameter(
            'Prefer',
            false,
            '`wait=N`: wait up to N seconds for the outcome (RFC 7240).',
            {
              type: 'string',
              examples: ['wait=5'],
            },
          ),
        ]
      : []),
    ...(http.document
      ? []
      : [
          describeHeaderParameter(
            'Accept-Language',
            false,
            languages.length > 0
              ? `Available: ${languages.join(', ')}. The default is ${languages[0]}.`
              : 'The preferred languages.',
            { type: 'string', ...(languages.length > 0 && { examples: languages }) },
          ),
        ]),
  ];
}

function describeRequestBody(http: Http, input: JsonSchema): { requestBody?: unknown } {
  if (!hasBody(http)) return {};
  const outsideBody = new Set([...http.parameters, ...(http.ifMatch ? [http.ifMatch] : [])]);
  const properties = Object.fromEntries(
    Object.entries(getProperties(input)).filter(([name]) => !outsideBody.has(name)),
  );
  if (Object.keys(properties).length === 0) return {};
  const required = getRequired(input).filter((name) => !outsideBody.has(name));
  const { required: _, ...rest } = input;
  const schema = { ...rest, properties, ...(required.length > 0 && { required }) };
  return { requestBody: { required: required.length > 0, content: { 'application/json': { schema } } } };
}

function describeResponses(
  request: Operation,
  output: JsonSchema | null,
  outcome: JsonSchema | null,
): Record<string, unknown> {
  const { http, access } = request;
  const content = (schema: JsonSchema | null) => schema && { content: { 'application/json': { schema } } };
  const headers = {
    ...(http.location && { Location: describeHeader('The URL of the created resource.') }),
    ...(http.etag && {
      ETag: describeHeader('The version of the resource, for If-Match and If-None-Match.'),
    }),
    ...(!http.etag &&
      http.method === 'GET' &&
      output && { ETag: describeHeader('Changes with the content, for If-None-Match.') }),
    ...(http.cache?.staleIfError && {
      'Cache-Status': describeHeader(
        'Present if the service does not answer and this is a stale response (RFC 9211).',
      ),
    }),
    ...(output && !http.document && { 'Content-Language': describeHeader('The language of the response.') }),
  };
  const success = (schema: JsonSchema | null) => ({
    ...(Object.keys(headers).length > 0 && { headers }),
    ...content(schema),
  });
  const all: Record<string, unknown> = {
    [http.status]: {
      description: http.wait ? 'Accepted: processing has started.' : 'Success.',
      ...success(output),
    },
    ...(http.wait && {
      [http.wait.status]: { description: 'Success: processing has finished.', ...success(outcome) },
    }),
    ...(http.method === 'GET' && output && { 304: { description: 'Not modified.' } }),
  };
  const codes = new Map<number, string[]>();
  const add = (status: number, code: string) => codes.set(status, [...(codes.get(status) ?? []), code]);
  add(400, 'invalid');
  if (hasBody(http)) for (const code of ['invalid-encoding', 'invalid-json']) add(400, code);
  if (request.idempotency === 'required') add(400, 'idempotency-key-missing');
  // Also on a public route: an invalid token is rejected, not ignored.
  add(401, 'unauthenticated');
  if (http.maxAuthAge !== undefined) add(401, 'step-up-required');
  if (access && getRequiredRole(access)) add(403, 'forbidden');
  if (http.parameters.length > 0) add(404, 'not-found');
  if (request.idempotency !== 'none') {
    add(409, 'idempotency-key-in-flight');
    add(422, 'idempotency-key-reused');
  }
  add(414, 'uri-too-long');
  if (hasBody(http)) {
    add(413, 'payload-too-large');
    add(415, 'unsupported-media-type');
  }
  add(429, 'too-many-requests');
  if (http.method === 'GET' && output) add(412, 'precondition-failed');
  if (http.ifMatch) add(428, 'precondition-required');
  for (const [code, status] of Object.entries(request.rejections)) add(status, code);
  for (const code of ['overloaded', 'unavailable']) add(503, code);
  add(504, 'timeout');
  for (const [status, some] of codes) {
    const extensions = some.map((code) => getProperties(request.extensions?.[code] ?? {}));
    all[status] = describeProblem(
      `Rejected: ${some.map((code) => `\`${code}\``).join(', ')}.`,
      Object.assign({}, ...extensions) as Record<string, JsonSchema>,
    );
  }
  all['default'] = describeProblem('Rejected or failed: see `code`.');
  return all;
}

const getProperties = (schema: JsonSchema) => (schema['properties'] ?? {}) as Record<string, JsonSchema>;
const getRequired = (schema: JsonSchema) => (schema['required'] ?? []) as string[];
const capitalize = (words: string): string => words[0]!.toUpperCase() + words.slice(1);
