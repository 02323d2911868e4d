import type { JsonSchema } from '@jogakbo/contract';

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Converts a UUID to lower case (RFC 9562, section 4). Other texts are unchanged. */
const lowerId = (text: string): string => (uuid.test(text) ? text.toLowerCase() : text);

/** Converts UUIDs in path parameters to lower case, in place, whether or not the contract declares them as ids. */
export function lowerPathIds(parameters: Record<string, string>): Record<string, string> {
  for (const name in parameters) parameters[name] = lowerId(parameters[name]!);
  return parameters;
}

const idsBySchema = new WeakMap<JsonSchema, boolean>();

function hasIdFields(schema: JsonSchema): boolean {
  let hasIds = idsBySchema.get(schema);
  if (hasIds === undefined) {
    hasIds = JSON.stringify(schema).includes('"format":"uuid"');
    idsBySchema.set(schema, hasIds);
  }
  return hasIds;
}

/** Converts every UUID to lower case where the schema has the format `uuid`, in place. */
export function lowerIdsBySchema(value: unknown, schema: JsonSchema): unknown {
  return hasIdFields(schema) ? lowerIdsWithin(value, schema, schema) : value;
}

function lowerIdsWithin(value: unknown, schema: JsonSchema, root: JsonSchema): unknown {
  const choices = [schema['anyOf'], schema['oneOf'], schema['allOf']].flatMap(
    (some) => (some ?? []) as JsonSchema[],
  );
  const definition = resolveDefinition(schema, root);
  if (definition) choices.push(definition);
  if (typeof value === 'string') {
    if (schema['format'] === 'uuid') return lowerId(value);
  } else if (Array.isArray(value)) {
    const items = schema['items'] as JsonSchema | undefined;
    if (items)
      for (let at = 0; at < value.length; at += 1) value[at] = lowerIdsWithin(value[at], items, root);
  } else if (value !== null && typeof value === 'object') {
    const fields = value as Record<string, unknown>;
    const { properties = {}, additionalProperties: others } = schema as Record<
      string,
      Record<string, JsonSchema>
    >;
    for (const name of Object.keys(fields)) {
      const inner = Object.hasOwn(properties, name) ? properties[name] : (others as JsonSchema | undefined);
      if (inner && typeof inner === 'object') fields[name] = lowerIdsWithin(fields[name], inner, root);
    }
  }
  return choices.reduce((lowered: unknown, choice) => lowerIdsWithin(lowered, choice, root), value);
}

function resolveDefinition({ $ref }: JsonSchema, root: JsonSchema): JsonSchema | undefined {
  const [, name = ''] = /^#\/\$defs\/(.+)$/.exec(typeof $ref === 'string' ? $ref : '') ?? [];
  return (root['$defs'] as Record<string, JsonSchema> | undefined)?.[name];
}
