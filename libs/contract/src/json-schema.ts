import { z } from 'zod';

/** Whether a value has objects or arrays nested more than `depth` levels deep. Stops searching at that depth. */
export function isDeeperThan(depth: number, value: unknown): boolean {
  if (value === null || typeof value !== 'object') return false;
  return depth === 0 || Object.values(value).some((child) => isDeeperThan(depth - 1, child));
}

/** Whether all texts in a value, names of fields included, are without unpaired surrogates, as I-JSON requires (RFC 7493). */
export function isWellFormed(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (value === null || typeof value !== 'object') return true;
  return Object.entries(value).every(([name, child]) => name.isWellFormed() && isWellFormed(child));
}

/** More than any contract needs, and too little to exhaust the stack of a consumer. */
export const maxContractDepth = 32;

const isText = (value: unknown): boolean => typeof value === 'string';
const areTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText);
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

type IsSchema = (value: unknown) => boolean;
const isSubschema = (value: unknown, isSchema: IsSchema): boolean => isSchema(value);
const isSubschemaList = (value: unknown, isSchema: IsSchema): boolean =>
  Array.isArray(value) && value.every(isSchema);
const isSubschemaMap = (value: unknown, isSchema: IsSchema): boolean =>
  isObject(value) && Object.values(value).every(isSchema);

/** Checks of the values of keywords. Other keywords may have any value. */
const keywordChecks = new Map<string, (value: unknown, isSchema: IsSchema) => boolean>([
  ...['items', 'additionalProperties', 'contentSchema', 'contains', 'not', 'if', 'then', 'else'].map(
    (keyword) => [keyword, isSubschema] as const,
  ),
  ...['propertyNames', 'unevaluatedItems', 'unevaluatedProperties'].map(
    (keyword) => [keyword, isSubschema] as const,
  ),
  ...['oneOf', 'anyOf', 'allOf', 'prefixItems'].map((keyword) => [keyword, isSubschemaList] as const),
  ...['properties', 'patternProperties', '$defs', 'dependentSchemas'].map(
    (keyword) => [keyword, isSubschemaMap] as const,
  ),
  ...['title', 'description', '$ref', 'format', 'pattern'].map((keyword) => [keyword, isText] as const),
  ...['enum', 'examples'].map((keyword) => [keyword, Array.isArray] as const),
  ['required', areTexts],
  ['type', (value) => isText(value) || areTexts(value)],
]);

/**
 * Whether a value has the form of a JSON Schema (draft 2020-12), as far as consumers rely on it: keywords have the types
 * that the draft requires, down to `depth` levels.
 */
export function isJsonSchema(value: unknown, depth = maxContractDepth): value is Record<string, unknown> {
  if (!isObject(value) || depth === 0) return false;
  const isSchema: IsSchema = (one) => typeof one === 'boolean' || isJsonSchema(one, depth - 1);
  return Object.entries(value).every(([keyword, one]) => keywordChecks.get(keyword)?.(one, isSchema) ?? true);
}

/** A JSON Schema, draft 2020-12. */
export const JsonSchema = z.custom<Record<string, unknown>>(
  (value) => isJsonSchema(value),
  'is not a JSON Schema',
);
export type JsonSchema = z.infer<typeof JsonSchema>;
