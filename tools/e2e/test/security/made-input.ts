import fc from 'fast-check';
import { type JsonSchema, type Operation } from './api-document.ts';

/** Values that exist in the running store, by the name of their field. */
export type KnownValues = Record<string, readonly unknown[]>;

/** Content of a request, without its sender. */
export interface Input {
  path: Record<string, unknown>;
  query: Record<string, unknown>;
  headers: Record<string, string>;
  body: unknown;
}

interface GenerationOptions {
  known: KnownValues;
  /** Only required fields, always with a known value if there is one. */
  plain: boolean;
}

/** Generates input that is valid according to the document. */
export function generateInput(operation: Operation, options: GenerationOptions): fc.Arbitrary<Input> {
  const generateParameters = (where: 'path' | 'query' | 'header') =>
    generateRecord(
      operation.parameters.filter((one) => one.in === where),
      options,
    );
  return fc.record({
    path: generateParameters('path'),
    query: generateParameters('query'),
    headers: generateParameters('header') as fc.Arbitrary<Record<string, string>>,
    body: operation.body ? generateValue(operation.body, options) : fc.constant(undefined),
  });
}

/** Deterministic input with the required fields and known values. */
export const generatePlainInput = (operation: Operation, known: KnownValues): Input =>
  fc.sample(generateInput(operation, { known, plain: true }), { seed: 1, numRuns: 1 })[0]!;

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

function generateRecord(
  fields: { name: string; required: boolean; schema: JsonSchema }[],
  options: GenerationOptions,
): fc.Arbitrary<Record<string, unknown>> {
  const used = fields.filter(({ required }) => required || !options.plain);
  return fc.record(
    Object.fromEntries(used.map(({ name, schema }) => [name, generateValue(schema, options, name)])),
    { requiredKeys: used.filter(({ required }) => required).map(({ name }) => name), noNullPrototype: true },
  );
}

/** @param name name of the field */
export function generateValue(
  schema: JsonSchema,
  options: GenerationOptions,
  name = '',
): fc.Arbitrary<unknown> {
  const values = Object.hasOwn(options.known, name) ? options.known[name]! : [];
  if (values.length === 0) return generateBySchema(schema, options);
  const value = fc.constantFrom(...values);
  if (options.plain) return value;
  return fc.oneof(
    { weight: 4, arbitrary: value },
    { weight: 1, arbitrary: generateBySchema(schema, options) },
  );
}

function generateBySchema(schema: JsonSchema, options: GenerationOptions): fc.Arbitrary<unknown> {
  const { type, properties, items, required = [], additionalProperties: others } = schema;
  const { anyOf, enum: choices, const: only, minItems = 0, maxItems = 3 } = schema;
  if (only !== undefined) return fc.constant(only);
  if (choices) return fc.constantFrom(...(choices as unknown[]));
  if (anyOf) return fc.oneof(...(anyOf as JsonSchema[]).map((one) => generateBySchema(one, options)));
  if (type === 'string') return generateText(schema);
  if (type === 'integer' || type === 'number') return fc.integer(getBounds(schema));
  if (type === 'boolean') return fc.boolean();
  if (type === 'null') return fc.constant(null);
  if (type === 'array') {
    const minLength = minItems as number;
    const maxLength = Math.max(minLength, Math.min(maxItems as number, options.plain ? minLength : 3));
    return fc.array(generateBySchema(items as JsonSchema, options), { minLength, maxLength });
  }
  if (properties) {
    const fields = Object.entries(properties as Record<string, JsonSchema>);
    const isRequired = (name: string) => (required as string[]).includes(name);
    return generateRecord(
      fields.map(([name, schema]) => ({ name, schema, required: isRequired(name) })),
      options,
    );
  }
  if (others && typeof others === 'object')
    return fc.dictionary(fc.string({ maxLength: 10 }), generateBySchema(others as JsonSchema, options));
  return fc.jsonValue();
}

function getBounds(schema: JsonSchema): { min: number; max: number } {
  const above = schema['exclusiveMinimum'] as number | undefined;
  const min = (schema['minimum'] as number | undefined) ?? (above === undefined ? -1_000 : above + 1);
  return { min, max: (schema['maximum'] as number | undefined) ?? Number.MAX_SAFE_INTEGER };
}

function generateText(schema: JsonSchema): fc.Arbitrary<string> {
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
