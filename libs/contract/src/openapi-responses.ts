import { getRequiredRole } from './contract.ts';
import type { JsonSchema } from './json-schema.ts';
import { describeProblem } from './openapi-problem.ts';
import { getProperties, hasBody, type Operation } from './openapi-request.ts';

/**
 * The responses of an operation, by status.
 * @param output the schema of the body; null if there is none
 * @param outcome the same for a client that waited for the outcome
 */
export function describeResponses(
  operation: Operation,
  output: JsonSchema | null,
  outcome: JsonSchema | null,
): Record<string, unknown> {
  const { http, extensions = {} } = operation;
  const headers = describeHeaders(operation, output);
  const describeSuccess = (description: string, schema: JsonSchema | null) => ({
    description,
    ...(Object.keys(headers).length > 0 && { headers }),
    ...(schema && { content: { 'application/json': { schema } } }),
  });
  const all: Record<string, unknown> = {
    [http.status]: describeSuccess(http.wait ? 'Accepted: processing has started.' : 'Success.', output),
    ...(http.wait && {
      [http.wait.status]: describeSuccess('Success: processing has finished.', outcome),
    }),
    ...(http.method === 'GET' && output && { 304: { description: 'Not modified.' } }),
  };
  for (const [status, codes] of listProblemCodes(operation, output !== null)) {
    const members = codes.map((code) => getProperties(extensions[code] ?? {}));
    all[status] = describeProblem(
      `Rejected: ${codes.map((code) => `\`${code}\``).join(', ')}.`,
      Object.assign({}, ...members) as Record<string, JsonSchema>,
    );
  }
  all['default'] = describeProblem('Rejected or failed: see `code`.');
  return all;
}

function describeHeaders({ http }: Operation, output: JsonSchema | null): Record<string, unknown> {
  const headers: Record<string, unknown> = {};
  const add = (name: string, description: string) =>
    (headers[name] = { description, schema: { type: 'string' } });
  if (http.location) add('Location', 'The URL of the created resource.');
  if (http.etag) add('ETag', 'The version of the resource, for If-Match and If-None-Match.');
  else if (http.method === 'GET' && output) add('ETag', 'Changes with the content, for If-None-Match.');
  if (http.cache?.staleIfError)
    add('Cache-Status', 'Present if the service does not answer and this is a stale response (RFC 9211).');
  if (output && !http.document) add('Content-Language', 'The language of the response.');
  return headers;
}

/** The codes of the problems with which the gateway or the service can answer, by status. */
function listProblemCodes(
  { http, access, idempotency, rejections }: Operation,
  hasOutput: boolean,
): Map<number, string[]> {
  const codes = new Map<number, string[]>();
  const add = (status: number, ...some: string[]) =>
    codes.set(status, [...(codes.get(status) ?? []), ...some]);
  add(400, 'invalid');
  if (hasBody(http)) add(400, 'invalid-encoding', 'invalid-json');
  if (idempotency === 'required') add(400, 'idempotency-key-missing');
  // Also on a public route: an invalid token is rejected, not ignored.
  add(401, 'unauthenticated');
  if (http.maxAuthAge !== undefined) add(401, 'step-up-required');
  if (access && getRequiredRole(access)) add(403, 'forbidden');
  if (http.parameters.length > 0) add(404, 'not-found');
  if (idempotency !== 'none') {
    add(409, 'idempotency-key-in-flight');
    add(422, 'idempotency-key-reused');
  }
  add(414, 'uri-too-long');
  if (hasBody(http)) {
    add(413, 'payload-too-large');
    add(415, 'unsupported-media-type');
  }
  add(429, 'too-many-requests');
  if (http.method === 'GET' && hasOutput) add(412, 'precondition-failed');
  if (http.ifMatch) add(428, 'precondition-required');
  for (const [code, status] of Object.entries(rejections)) add(status, code);
  add(503, 'overloaded', 'unavailable');
  add(504, 'timeout');
  return codes;
}
