import type { CallPolicy, JsonSchema, RequestDescription, ServiceDescription } from '@jogakbo/contract';

/** The substitute for a read whose service is unreachable: a query of another service, or a constant answer. */
export type Fallback =
  { answer: Record<string, unknown> } | { service: string; contract: RequestDescription; policy: CallPolicy };

/**
 * Finds the announced fallback of a read. Both contracts must declare it, because it exposes a query that may have no
 * route. Its output must have all that the read returns.
 * @returns the reason as a text if the fallback is rejected
 */
export function findFallback(
  { name, http, input, output }: RequestDescription,
  services: readonly ServiceDescription[],
): Fallback | string | undefined {
  const wanted = http?.fallback;
  if (!wanted) return undefined;
  if ('answer' in wanted) {
    const missing = getRequired(output ?? {}).filter((field) => !(field in wanted.answer));
    return missing.length > 0 ? `its answer lacks ${missing.join(', ')}` : wanted;
  }
  for (const { service, policy, requests } of services) {
    const contract = requests.find((one) => one.name === wanted.query);
    if (!contract) continue;
    if (contract.kind !== 'query' || contract.standsInFor !== name)
      return `${contract.name} is not a query with standsInFor: ${name}`;
    const unknown = Object.keys(getFields(input)).filter((field) => !(field in getFields(contract.input)));
    const more = getRequired(contract.input).filter((field) => !getRequired(input).includes(field));
    if (unknown.length + more.length > 0)
      return `${contract.name} has a different input: ${[...unknown, ...more].join(', ')}`;
    const missing = findMissing(contract.output ?? {}, output ?? {}, '');
    return missing === undefined ? { service, contract, policy } : `${contract.name} lacks ${missing}`;
  }
  return undefined; // not announced yet
}

const getFields = (schema: JsonSchema) => (schema['properties'] ?? {}) as Record<string, JsonSchema>;
const getRequired = (schema: JsonSchema) => (schema['required'] ?? []) as string[];

/** The path of the first field that `wanted` has and `given` lacks. */
function findMissing(given: JsonSchema, wanted: JsonSchema, path: string): string | undefined {
  // `type` is a string or a list: `["string", "null"]`.
  if (String(wanted['type']) !== String(given['type'])) return path || 'anything';
  const items = wanted['items'] as JsonSchema | undefined;
  if (items) return findMissing((given['items'] ?? {}) as JsonSchema, items, `${path}[]`);
  for (const field of getRequired(wanted)) {
    const inside = path ? `${path}.${field}` : field;
    if (!getRequired(given).includes(field)) return inside;
    const missing = findMissing(getFields(given)[field] ?? {}, getFields(wanted)[field] ?? {}, inside);
    if (missing !== undefined) return missing;
  }
  return undefined;
}
