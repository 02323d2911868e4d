import type { JsonSchema, RequestDescription, ServiceDescription } from './description.ts';
import { liftDefinitions } from './lift-definitions.ts';
import { problemResponse } from './openapi-problem.ts';

type Http = NonNullable<RequestDescription['http']>;
/** A request that can be reached over HTTP. */
export type Operation = RequestDescription & { http: Http };

const header = (description: string, schema: JsonSchema = { type: 'string' }) => ({ description, schema });

/**
 * One operation of an OpenAPI document.
 * @param service whose request it is
 * @param definitions takes the schemas that others refer to
 */
export function operation(
  { service, requests }: ServiceDescription,
  request: Operation,
  definitions: Record<string, JsonSchema>,
) {
  const { name, description, http, access } = request;
  const input = liftDefinitions(request.input, name, definitions);
  const output = request.output && liftDefinitions(request.output, `${name}.answer`, definitions);
  // Who waited is given the answer to another question.
  const end = requests.find(({ name }) => name === http.wait?.answer);
  const ended = end?.output && liftDefinitions(end.output, `${end.name}.answer`, definitions);
  const summary = sentence(name.slice(name.indexOf('.') + 1).replaceAll('-', ' '));
  return {
    operationId: name,
    summary,
    description: `${description || `${summary}.`} ${accessText[access!]}`,
    tags: [service],
    security: access === 'public' ? [{}, { bearer: [] }] : [{ bearer: [] }],
    // Which bearer it must be, for programs: OpenAPI has no word for the roles of a JWT, and none for whose a thing is.
    'x-access': access,
    parameters: parameters(request, input),
    ...requestBody(http, input),
    responses: responses(request, output, ended ?? output),
  };
}

const accessText = {
  public: 'For everybody.',
  member: 'For members.',
  owner: 'For the member whose it is.',
  merchant: 'For the role merchant.',
  operator: 'For the role operator.',
};

/** `*`, or entity tags separated by commas (RFC 9110, 13.1.1). */
const entityTags: JsonSchema = {
  type: 'string',
  pattern: '^(\\*|(W/)?"[!#-~]*"([ \\t]*,[ \\t]*(W/)?"[!#-~]*")*)$',
  examples: ['"3"'],
};

const hasBody = ({ method }: Http): boolean => method !== 'GET' && method !== 'DELETE';

function parameters({ http, idempotency }: Operation, input: JsonSchema): unknown[] {
  const properties = getProperties(input);
  const fromHeader = (name: string, required: boolean, description: string, schema: JsonSchema) => ({
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
    ...(http.ifMatch ? [fromHeader('If-Match', true, 'The ETag of what was read.', entityTags)] : []),
    ...(idempotency === 'none'
      ? []
      : [
          fromHeader(
            'Idempotency-Key',
            idempotency === 'required',
            'Of your own choice; the same one when you try again, and it is done once.',
            { type: 'string', pattern: '^[!-~]{1,255}$' },
          ),
        ]),
    ...(http.wait
      ? [
          fromHeader('Prefer', false, '`wait=N`: wait up to N seconds for the end (RFC 7240).', {
            type: 'string',
            examples: ['wait=5'],
          }),
        ]
      : []),
    ...(http.document
      ? []
      : [
          fromHeader('Accept-Language', false, 'Korean or English; Korean where it names neither.', {
            type: 'string',
            examples: ['ko', 'en'],
          }),
        ]),
  ];
}

function requestBody(http: Http, input: JsonSchema): { requestBody?: unknown } {
  if (!hasBody(http)) return {};
  const elsewhere = new Set([...http.parameters, ...(http.ifMatch ? [http.ifMatch] : [])]);
  const properties = Object.fromEntries(
    Object.entries(getProperties(input)).filter(([name]) => !elsewhere.has(name)),
  );
  if (Object.keys(properties).length === 0) return {};
  const required = getRequired(input).filter((name) => !elsewhere.has(name));
  const { required: _, ...rest } = input;
  const schema = { ...rest, properties, ...(required.length > 0 && { required }) };
  return { requestBody: { required: required.length > 0, content: { 'application/json': { schema } } } };
}

function responses(
  request: Operation,
  output: JsonSchema | null,
  ended: JsonSchema | null,
): Record<string, unknown> {
  const { http, access } = request;
  const content = (schema: JsonSchema | null) => schema && { content: { 'application/json': { schema } } };
  const headers = {
    ...(http.location && { Location: header('Where it is from now on.') }),
    ...(http.etag && { ETag: header('The version of this, for If-Match and If-None-Match.') }),
    ...(!http.etag &&
      http.method === 'GET' &&
      output && { ETag: header('Changes with the answer, for If-None-Match.') }),
    ...(http.cache?.staleIfError && {
      'Cache-Status': header(
        'There where the service does not answer, and this is what was known before (RFC 9211).',
      ),
    }),
    ...(output && !http.document && { 'Content-Language': header('The language of the answer.') }),
  };
  const success = (schema: JsonSchema | null) => ({
    ...(Object.keys(headers).length > 0 && { headers }),
    ...content(schema),
  });
  const all: Record<string, unknown> = {
    [http.status]: { description: http.wait ? 'It has begun.' : 'It is done.', ...success(output) },
    ...(http.wait && { [http.wait.status]: { description: 'It has ended.', ...success(ended) } }),
    ...(http.method === 'GET' && output && { 304: { description: 'It is what you have already.' } }),
  };
  const codes = new Map<number, string[]>();
  const add = (status: number, code: string) => codes.set(status, [...(codes.get(status) ?? []), code]);
  add(400, 'invalid');
  if (hasBody(http)) for (const code of ['invalid-encoding', 'invalid-json']) add(400, code);
  if (request.idempotency === 'required') add(400, 'idempotency-key-missing');
  // Of a public route as well: a token that is wrong is refused, and not overlooked.
  add(401, 'unauthenticated');
  if (http.maxAuthAge !== undefined) add(401, 'step-up-required');
  if (access === 'merchant' || access === 'operator') add(403, 'forbidden');
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
    all[status] = problemResponse(
      `Refused: ${some.map((code) => `\`${code}\``).join(', ')}.`,
      Object.assign({}, ...extensions) as Record<string, JsonSchema>,
    );
  }
  all['default'] = problemResponse('Refused, or failed: `code` says why.');
  return all;
}

const getProperties = (schema: JsonSchema) => (schema['properties'] ?? {}) as Record<string, JsonSchema>;
const getRequired = (schema: JsonSchema) => (schema['required'] ?? []) as string[];
const sentence = (words: string): string => words[0]!.toUpperCase() + words.slice(1);
