import type { JsonSchema } from './json-schema.ts';

/** Joins `loans.place-loan`, `lines` and so on to one type name: `LoansPlaceLoanLines`. */
export const typeName = (...words: string[]): string =>
  words
    .join('.')
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');

const choices = ['oneOf', 'anyOf', 'allOf'] as const;

/**
 * Adds a title to every schema that a code generator turns into a type (objects, enumerations, choices), at every depth.
 * Existing titles are kept.
 * @param title of the schema itself; becomes the prefix of all others
 */
export function addTitles(schema: JsonSchema, title: string): JsonSchema {
  const own = typeof schema['title'] === 'string' ? schema['title'] : title;
  const one = (child: unknown, ...words: string[]): unknown =>
    child && typeof child === 'object' ? addTitles(child as JsonSchema, own + typeName(...words)) : child;
  const all = (children: unknown, word: string): unknown[] =>
    (children as unknown[]).map((child, at) => one(child, `${word}${at + 1}`));

  const titled: JsonSchema = { ...(isType(schema) && { title: own }), ...schema };
  if (schema['properties']) {
    const properties = Object.entries(schema['properties']).map(([key, child]) => [key, one(child, key)]);
    titled['properties'] = Object.fromEntries(properties);
  }
  for (const key of choices) if (schema[key]) titled[key] = all(schema[key], 'option');
  if (schema['prefixItems']) titled['prefixItems'] = all(schema['prefixItems'], 'item');
  // The schema of the decrypted text.
  if (schema['contentSchema']) titled['contentSchema'] = one(schema['contentSchema']);
  if (schema['items']) titled['items'] = one(schema['items'], 'item');
  if (schema['additionalProperties'])
    titled['additionalProperties'] = one(schema['additionalProperties'], 'value');
  return titled;
}

/** Whether a code generator turns a schema into a type. */
export const isType = (schema: JsonSchema): boolean =>
  schema['type'] === 'object' || ['properties', 'enum', ...choices].some((key) => key in schema);
