import type { CallPolicy, JsonSchema, RequestDescription, ServiceDescription } from '@jogakbo/contract';

/** What answers a read while its service does not: a query of another service, or one answer for all. */
export type Fallback =
  { answer: Record<string, unknown> } | { service: string; contract: RequestDescription; policy: CallPolicy };

/**
 * What was announced as the fallback of a read. Both sides must want it, for a query without a route is nobody's to ask
 * from outside; and who asked must get what the read promises.
 * @returns a text where it is not taken: why
 */
export function findFallback(
  { name, http, input, output }: RequestDescription,
  services: readonly ServiceDescription[],
): Fallback | string | undefined {
  const wanted = http?.fallback;
  if (!wanted) return undefined;
  if ('answer' in wanted) {
    const missing = getRequired(output ?? {}).filter((field) => !(field in wanted.answer));
    return missing.length > 0 ? `its answer has no ${missing.join(', ')}` : wanted;
  }
  for (const { service, policy, requests } of services) {
    const contract = requests.find((one) => one.name === wanted.query);
    if (!contract) continue;
    if (contract.kind !== 'query' || contract.standsInFor !== name)
      return `${contract.name} does not stand in for it`;
    const refused = Object.keys(getFields(input)).filter((field) => !(field in getFields(contract.input)));
    const more = getRequired(contract.input).filter((field) => !getRequired(input).includes(field));
    if (refused.length + more.length > 0)
      return `${contract.name} asks for something else: ${[...refused, ...more].join(', ')}`;
    const lack = lacking(contract.output ?? {}, output ?? {}, '');
    return lack === undefined ? { service, contract, policy } : `${contract.name} does not tell ${lack}`;
  }
  return undefined; // not heard of yet
}

const getFields = (schema: JsonSchema) => (schema['properties'] ?? {}) as Record<string, JsonSchema>;
const getRequired = (schema: JsonSchema) => (schema['required'] ?? []) as string[];

/** The path of the first thing that `wanted` promises and `given` does not. */
function lacking(given: JsonSchema, wanted: JsonSchema, path: string): string | undefined {
  // A text, or several: `["string", "null"]`.
  if (String(wanted['type']) !== String(given['type'])) return path || 'anything';
  const items = wanted['items'] as JsonSchema | undefined;
  if (items) return lacking((given['items'] ?? {}) as JsonSchema, items, `${path}[]`);
  for (const field of getRequired(wanted)) {
    const inside = path ? `${path}.${field}` : field;
    if (!getRequired(given).includes(field)) return inside;
    const lack = lacking(getFields(given)[field] ?? {}, getFields(wanted)[field] ?? {}, inside);
    if (lack !== undefined) return lack;
  }
  return undefined;
}
