import type { JsonSchema } from '@jogakbo/contract';

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** A UUID in lower case; capitals mean the same (RFC 9562, section 4). Anything else as it is. */
const lowerId = (text: string): string => (uuid.test(text) ? text.toLowerCase() : text);

/** Parameters of a path: a UUID among them is the id of something, whatever the contract says of it. */
export function withLowerIds(parameters: Record<string, string>): Record<string, string> {
  for (const name in parameters) parameters[name] = lowerId(parameters[name]!);
  return parameters;
}

const withIds = new WeakMap<JsonSchema, boolean>();

function mentionsIds(schema: JsonSchema): boolean {
  let mentions = withIds.get(schema);
  if (mentions === undefined) {
    mentions = JSON.stringify(schema).includes('"format":"uuid"');
    withIds.set(schema, mentions);
  }
  return mentions;
}

/** Puts every UUID into lower case that stands where the schema wants one, within the value. */
export function lowerIdsBySchema(value: unknown, schema: JsonSchema): unknown {
  return mentionsIds(schema) ? lowerWithin(value, schema, schema) : value;
}

function lowerWithin(value: unknown, schema: JsonSchema, root: JsonSchema): unknown {
  const choices = [schema['anyOf'], schema['oneOf'], schema['allOf']].flatMap(
    (some) => (some ?? []) as JsonSchema[],
  );
  const referred = resolveDefinition(schema, root);
  if (referred) choices.push(referred);
  if (typeof value === 'string') {
    if (schema['format'] === 'uuid') return lowerId(value);
  } else if (Array.isArray(value)) {
    const items = schema['items'] as JsonSchema | undefined;
    if (items) for (let at = 0; at < value.length; at += 1) value[at] = lowerWithin(value[at], items, root);
  } else if (value !== null && typeof value === 'object') {
    const fields = value as Record<string, unknown>;
    const { properties = {}, additionalProperties: others } = schema as Record<
      string,
      Record<string, JsonSchema>
    >;
    for (const name of Object.keys(fields)) {
      const inner = Object.hasOwn(properties, name) ? properties[name] : (others as JsonSchema | undefined);
      if (inner && typeof inner === 'object') fields[name] = lowerWithin(fields[name], inner, root);
    }
  }
  return choices.reduce((lowered: unknown, choice) => lowerWithin(lowered, choice, root), value);
}

function resolveDefinition({ $ref }: JsonSchema, root: JsonSchema): JsonSchema | undefined {
  const [, name = ''] = /^#\/\$defs\/(.+)$/.exec(typeof $ref === 'string' ? $ref : '') ?? [];
  return (root['$defs'] as Record<string, JsonSchema> | undefined)?.[name];
}
