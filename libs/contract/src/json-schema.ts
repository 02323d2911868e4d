/** Whether a value holds objects or lists that lie more than `depth` levels deep. Looks no deeper than that. */
export function isDeeperThan(depth: number, value: unknown): boolean {
  if (value === null || typeof value !== 'object') return false;
  return depth === 0 || Object.values(value).some((child) => isDeeperThan(depth - 1, child));
}

/** Deeper than any contract goes, and far from what would exhaust the stack of a reader. */
export const deepestContract = 32;

const isText = (value: unknown): boolean => typeof value === 'string';
const areTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText);
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

type IsSchema = (value: unknown) => boolean;
const isOne = (value: unknown, isSchema: IsSchema): boolean => isSchema(value);
const areSeveral = (value: unknown, isSchema: IsSchema): boolean =>
  Array.isArray(value) && value.every(isSchema);
const areNamed = (value: unknown, isSchema: IsSchema): boolean =>
  isObject(value) && Object.values(value).every(isSchema);

/** Of what form the value of a keyword is. Others may have any. */
const forms = new Map<string, (value: unknown, isSchema: IsSchema) => boolean>([
  ...['items', 'additionalProperties', 'contentSchema', 'contains', 'not', 'if', 'then', 'else'].map(
    (keyword) => [keyword, isOne] as const,
  ),
  ...['propertyNames', 'unevaluatedItems', 'unevaluatedProperties'].map(
    (keyword) => [keyword, isOne] as const,
  ),
  ...['oneOf', 'anyOf', 'allOf', 'prefixItems'].map((keyword) => [keyword, areSeveral] as const),
  ...['properties', 'patternProperties', '$defs', 'dependentSchemas'].map(
    (keyword) => [keyword, areNamed] as const,
  ),
  ...['title', 'description', '$ref', 'format', 'pattern'].map((keyword) => [keyword, isText] as const),
  ...['enum', 'examples'].map((keyword) => [keyword, Array.isArray] as const),
  ['required', areTexts],
  ['type', (value) => isText(value) || areTexts(value)],
]);

/**
 * Whether a value has the form of a JSON Schema (draft 2020-12), as far as readers rely on it: keywords have the types
 * that the draft demands, at every depth down to `depth`.
 */
export function isJsonSchema(value: unknown, depth = deepestContract): value is Record<string, unknown> {
  if (!isObject(value) || depth === 0) return false;
  const isSchema: IsSchema = (one) => typeof one === 'boolean' || isJsonSchema(one, depth - 1);
  return Object.entries(value).every(([keyword, one]) => forms.get(keyword)?.(one, isSchema) ?? true);
}
