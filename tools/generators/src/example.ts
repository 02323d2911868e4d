import { z } from 'zod';

type JsonSchema = z.core.JSONSchema.BaseSchema;

const formats: Record<string, unknown> = {
  uuid: '01980000-0000-7000-8000-000000000001',
  'date-time': '2026-01-01T00:00:00.000Z',
  date: '2026-01-01',
  time: '00:00:00',
  email: 'someone@example.com',
  uri: 'https://example.com/',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
};

/** Texts for patterns: the first one that matches is used. */
const texts = [
  'text',
  'Text',
  'TEXT',
  'ABC',
  'AB',
  'en',
  '1',
  'a-b',
  'https://example.com/',
  '+82-2-123-4567',
  '',
];

/**
 * An example of what a schema accepts, with its required fields only.
 * @returns undefined if none was found: some patterns and checks cannot be guessed
 */
export function createExample(schema: z.ZodType): unknown {
  const example = toExample(
    z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', reused: 'inline' }),
  );
  return schema.safeParse(example).success ? example : undefined;
}

function toExample(schema: JsonSchema): unknown {
  if ('const' in schema) return schema.const;
  if (schema.enum) return schema.enum[0];
  if (schema.examples?.length) return schema.examples[0];
  const [variant] = (schema.anyOf ?? schema.oneOf ?? []) as JsonSchema[];
  if (variant) return toExample(variant);
  switch (schema.type) {
    case 'object':
      return Object.fromEntries(
        (schema.required ?? []).map((name) => [
          name,
          toExample((schema.properties?.[name] ?? {}) as JsonSchema),
        ]),
      );
    case 'array':
      return Array.from({ length: schema.minItems ?? 0 }, () =>
        toExample((schema.items ?? {}) as JsonSchema),
      );
    case 'string':
      return toText(schema);
    case 'integer':
    case 'number':
      return Math.max(1, schema.minimum ?? 1, Number(schema.exclusiveMinimum ?? 0) + 1);
    case 'boolean':
      return true;
    default:
      return null;
  }
}

function toText({ format, pattern, minLength = 0 }: JsonSchema): unknown {
  if (format && formats[format] !== undefined) return formats[format];
  const expression = pattern === undefined ? undefined : new RegExp(pattern, 'u');
  return (
    texts.map((text) => text.padEnd(minLength, text)).find((text) => expression?.test(text) ?? true) ?? 'text'
  );
}
