import type { ServiceDescription } from './description.ts';
import type { JsonSchema } from './json-schema.ts';
import { liftDefinitions } from './lift-definitions.ts';
import { describeParameters, describeRequestBody, type Operation } from './openapi-request.ts';
import { describeResponses } from './openapi-responses.ts';

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

const capitalize = (words: string): string => words[0]!.toUpperCase() + words.slice(1);
