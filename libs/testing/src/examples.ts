import { createHash } from 'node:crypto';
import { jsonSchema, type JsonSchema } from '@jogakbo/contract';
import { generateSync } from 'json-schema-faker';
import type { z } from 'zod';

/** More attempts than any schema without a hidden rule needs. */
const attempts = 50;
/** Items of an array, unless the schema demands more. */
const maxItems = 2;

/** Fixed, so that an example does not depend on the day. */
const times = { minDateTime: '2026-01-01T00:00:00Z', maxDateTime: '2026-12-31T23:59:59Z' };

/** Limits the arrays of a JSON Schema, at every depth. */
function limitItems(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(limitItems);
  if (typeof node !== 'object' || node === null) return node;
  const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, limitItems(value)]));
  if (copy['type'] !== 'array') return copy;
  const { minItems = 0, maxItems: most = maxItems } = copy as { minItems?: number; maxItems?: number };
  return { ...copy, maxItems: Math.max(minItems, Math.min(most, maxItems)) };
}

/**
 * Creates a value that fits a schema: always the same one for the same schema and name. It has every optional field.
 * Examples in the schema (`.meta({ examples })`) are used.
 * @param name of the contract, so that two contracts have different ids
 * @param io `input`: before parsing, such as what a handler returns; `output`: after parsing
 * @throws Error if no generated value fits, because the schema has a rule that JSON Schema cannot express
 */
export function createExample<T extends z.ZodType>(
  schema: T,
  name: string,
  io: 'input' | 'output' = 'input',
): z.input<T> {
  const described = limitItems(jsonSchema(schema, io)) as JsonSchema;
  // A schema that describes nothing, such as that of an absent output.
  if (schema.safeParse(undefined).success && Object.keys(described).length === 0)
    return undefined as z.input<T>;
  const first = createHash('sha256').update(name).digest().readUInt32BE();
  for (let nth = 0; nth < attempts; nth++) {
    const value = generateSync(described, {
      seed: (first + nth) % 2 ** 32,
      alwaysFakeOptionals: true,
      useExamplesValue: true,
      ...times,
    });
    if (schema.safeParse(value).success) return value as z.input<T>;
  }
  throw new Error(`no example of ${name} could be generated that fits its schema`);
}
