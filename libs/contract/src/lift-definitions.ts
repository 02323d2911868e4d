import type { JsonSchema } from './json-schema.ts';

/**
 * Moves the definitions of a schema to `components.schemas` of a document and updates the references: a reference within
 * the schema would be invalid in the document.
 * @param owner the owner of the schema; becomes the prefix of the names
 * @param definitions receives the moved definitions
 */
export function liftDefinitions(
  schema: JsonSchema,
  owner: string,
  definitions: Record<string, JsonSchema>,
): JsonSchema {
  const { $defs, ...rest } = schema;
  if (!$defs) return rest;
  const rename = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(rename);
    if (!node || typeof node !== 'object') return node;
    return Object.fromEntries(
      Object.entries(node).map(([key, value]) =>
        key === '$ref' && typeof value === 'string'
          ? [key, value.replace(/^#\/\$defs\//, `#/components/schemas/${owner}.`)]
          : [key, rename(value)],
      ),
    );
  };
  for (const [name, definition] of Object.entries($defs as Record<string, JsonSchema>)) {
    definitions[`${owner}.${name}`] = rename(definition) as JsonSchema;
  }
  return rename(rest) as JsonSchema;
}
