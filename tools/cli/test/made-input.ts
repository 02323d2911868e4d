import fc from 'fast-check';
import { type JsonSchema, type Operation } from './api-document.ts';

/** Values of fields that mean something in the running store, by the name of the field. */
export type Things = Record<string, readonly unknown[]>;

/** All that one request brings, beside who sends it. */
export interface Input {
  path: Record<string, unknown>;
  query: Record<string, unknown>;
  headers: Record<string, string>;
  body: unknown;
}

interface Manner {
  things: Things;
  /** Only what must be there, and always a known thing where there is one. */
  plain: boolean;
}

/** Input that fits the document. */
export function generateInput(operation: Operation, manner: Manner): fc.Arbitrary<Input> {
  const placed = (where: 'path' | 'query' | 'header') =>
    record(
      operation.parameters.filter((one) => one.in === where),
      manner,
    );
  return fc.record({
    path: placed('path'),
    query: placed('query'),
    headers: placed('header') as fc.Arbitrary<Record<string, string>>,
    body: operation.body ? generateValue(operation.body, manner) : fc.constant(undefined),
  });
}

/** One such input, always the same: what must be there, filled with things that there are. */
export const plainInput = (operation: Operation, things: Things): Input =>
  fc.sample(generateInput(operation, { things, plain: true }), { seed: 1, numRuns: 1 })[0]!;

export function buildPath({ path }: Operation, input: Pick<Input, 'path' | 'query'>): string {
  const query = new URLSearchParams(
    Object.entries(input.query).flatMap(([name, value]) =>
      [value].flat().map((one) => [name, String(one)] as [string, string]),
    ),
  ).toString();
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(String(input.path[name])),
  );
  return query ? `${filled}?${query}` : filled;
}

function record(
  fields: { name: string; required: boolean; schema: JsonSchema }[],
  manner: Manner,
): fc.Arbitrary<Record<string, unknown>> {
  const taken = fields.filter(({ required }) => required || !manner.plain);
  return fc.record(
    Object.fromEntries(taken.map(({ name, schema }) => [name, generateValue(schema, manner, name)])),
    { requiredKeys: taken.filter(({ required }) => required).map(({ name }) => name), noNullPrototype: true },
  );
}

/** @param name of the field that it is for */
export function generateValue(schema: JsonSchema, manner: Manner, name = ''): fc.Arbitrary<unknown> {
  const known = Object.hasOwn(manner.things, name) ? manner.things[name]! : [];
  if (known.length === 0) return bySchema(schema, manner);
  const thing = fc.constantFrom(...known);
  if (manner.plain) return thing;
  return fc.oneof({ weight: 4, arbitrary: thing }, { weight: 1, arbitrary: bySchema(schema, manner) });
}

function bySchema(schema: JsonSchema, manner: Manner): fc.Arbitrary<unknown> {
  const { type, properties, items, required = [], additionalProperties: others } = schema;
  const { anyOf, enum: choices, const: only, minItems = 0, maxItems = 3 } = schema;
  if (only !== undefined) return fc.constant(only);
  if (choices) return fc.constantFrom(...(choices as unknown[]));
  if (anyOf) return fc.oneof(...(anyOf as JsonSchema[]).map((one) => bySchema(one, manner)));
  if (type === 'string') return text(schema);
  if (type === 'integer' || type === 'number') return fc.integer(bounds(schema));
  if (type === 'boolean') return fc.boolean();
  if (type === 'null') return fc.constant(null);
  if (type === 'array') {
    const least = minItems as number;
    const most = Math.max(least, Math.min(maxItems as number, manner.plain ? least : 3));
    return fc.array(bySchema(items as JsonSchema, manner), { minLength: least, maxLength: most });
  }
  if (properties) {
    const fields = Object.entries(properties as Record<string, JsonSchema>);
    const isRequired = (name: string) => (required as string[]).includes(name);
    return record(
      fields.map(([name, schema]) => ({ name, schema, required: isRequired(name) })),
      manner,
    );
  }
  if (others && typeof others === 'object')
    return fc.dictionary(fc.string({ maxLength: 10 }), bySchema(others as JsonSchema, manner));
  return fc.jsonValue();
}

function bounds(schema: JsonSchema): { min: number; max: number } {
  const above = schema['exclusiveMinimum'] as number | undefined;
  const min = (schema['minimum'] as number | undefined) ?? (above === undefined ? -1_000 : above + 1);
  return { min, max: (schema['maximum'] as number | undefined) ?? Number.MAX_SAFE_INTEGER };
}

function text(schema: JsonSchema): fc.Arbitrary<string> {
  const { format, pattern, minLength = 0, maxLength = 60 } = schema as Record<string, never>;
  if (format === 'uuid') return fc.uuid();
  if (format === 'date-time') return fc.date({ noInvalidDate: true }).map((date) => date.toISOString());
  if (format === 'email') {
    const fits = new RegExp(pattern ?? '');
    return fc.emailAddress().filter((one) => fits.test(one));
  }
  const size = { minLength, maxLength: Math.max(minLength, Math.min(maxLength, 60)) };
  if (pattern === undefined) return fc.string({ ...size, unit: 'grapheme' });
  return fc
    .stringMatching(new RegExp(pattern))
    .filter(({ length }) => length >= minLength && length <= Number(schema['maxLength'] ?? Infinity));
}
