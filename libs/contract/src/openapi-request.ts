import type { RequestDescription } from './description.ts';
import type { JsonSchema } from './json-schema.ts';

type Http = NonNullable<RequestDescription['http']>;
/** A request that can be reached over HTTP. */
export type Operation = RequestDescription & { http: Http };

/** Whether requests with this method have a body. */
export const hasBody = ({ method }: Http): boolean => method !== 'GET' && method !== 'DELETE';

/** Schemas of the fields of an object, by name. */
export const getProperties = (schema: JsonSchema) =>
  (schema['properties'] ?? {}) as Record<string, JsonSchema>;
const getRequired = (schema: JsonSchema) => (schema['required'] ?? []) as string[];

/**
 * The parameters of an operation: in the path, in the query and in headers.
 * @param input the schema of its input
 * @param languages of responses, the default first
 */
export function describeParameters(
  operation: Operation,
  input: JsonSchema,
  languages: readonly string[],
): unknown[] {
  const { http } = operation;
  const properties = getProperties(input);
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
  return [...inPath, ...inQuery, ...describeHeaders(operation, languages)];
}

function describeHeaders({ http, idempotency }: Operation, languages: readonly string[]): unknown[] {
  const headers: unknown[] = [];
  const add = (name: string, required: boolean, description: string, schema: JsonSchema) =>
    headers.push({ name, in: 'header', required, description, schema });
  if (http.ifMatch) add('If-Match', true, 'The ETag of the version that was read.', entityTags);
  if (idempotency !== 'none')
    add(
      'Idempotency-Key',
      idempotency === 'required',
      'A value that the client chooses. A retry with the same value has no second effect.',
      { type: 'string', pattern: '^[!-~]{1,255}$' },
    );
  if (http.wait)
    add('Prefer', false, '`wait=N`: wait up to N seconds for the outcome (RFC 7240).', {
      type: 'string',
      examples: ['wait=5'],
    });
  if (!http.document)
    add(
      'Accept-Language',
      false,
      languages.length > 0
        ? `Available: ${languages.join(', ')}. The default is ${languages[0]}.`
        : 'The preferred languages.',
      { type: 'string', ...(languages.length > 0 && { examples: languages }) },
    );
  return headers;
}

/** `*`, or entity tags separated by commas (RFC 9110, 13.1.1). */
const entityTags: JsonSchema = {
  type: 'string',
  pattern: '^(\\*|(W/)?"[!#-~]*"([ \\t]*,[ \\t]*(W/)?"[!#-~]*")*)$',
  examples: ['"3"'],
};

/** The body of an operation: the fields of its input that are neither in the path nor in a header. */
export function describeRequestBody(http: Http, input: JsonSchema): { requestBody?: unknown } {
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
