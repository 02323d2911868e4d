import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { JsonSchema } from '../json-schema.ts';
import { compareSchemas } from './compare-schemas.ts';

const runs = Number(process.env.TEST_RUNS ?? 400) * 5;

/** Small schemas of any service, also with combinators that zod does not write. */
const raw: fc.Arbitrary<JsonSchema | boolean> = fc.letrec<{ raw: JsonSchema | boolean }>((tie) => ({
  raw: fc.oneof(
    { maxDepth: 3, withCrossShrink: true, depthSize: 'small' },
    fc.constantFrom<JsonSchema | boolean>(true, false, {}),
    fc
      .subarray(['null', 'boolean', 'integer', 'number', 'string', 'array', 'object'], { minLength: 1 })
      .map((type) => ({ type })),
    fc.subarray([null, true, 0, 1, 2, 'a', 'ab'], { minLength: 1 }).map((list) => ({ enum: list })),
    fc.constantFrom(null, false, 1, 1.5, 'a').map((value) => ({ const: value })),
    fc.record(
      {
        minimum: fc.nat(2),
        maximum: fc.nat(3),
        exclusiveMinimum: fc.nat(1),
        exclusiveMaximum: fc.nat(4),
        multipleOf: fc.constantFrom(1, 2, 0.5),
        type: fc.constantFrom('integer', 'number'),
      },
      { requiredKeys: [] },
    ),
    fc.record(
      { type: fc.constant('string'), minLength: fc.nat(2), maxLength: fc.nat(3) },
      { requiredKeys: ['type'] },
    ),
    fc.record(
      { type: fc.constant('array'), items: tie('raw'), minItems: fc.nat(2), maxItems: fc.nat(2) },
      { requiredKeys: ['type'] },
    ),
    fc.record(
      {
        type: fc.constant('object'),
        properties: fc.dictionary(fc.constantFrom('a', 'b'), tie('raw'), { noNullPrototype: true }),
        required: fc.subarray(['a', 'b']),
        additionalProperties: tie('raw'),
      },
      { requiredKeys: ['type', 'additionalProperties'] },
    ),
    ...(['allOf', 'anyOf', 'oneOf'] as const).map((keyword) =>
      fc.array(tie('raw'), { minLength: 1, maxLength: 3 }).map((list) => ({ [keyword]: list })),
    ),
    fc.tuple(tie('raw'), tie('raw')).map(([one, other]) => ({
      ...(typeof one === 'object' ? one : { allOf: [one] }),
      anyOf: [other, { type: 'string' }],
    })),
  ),
})).raw;

const leaves = [null, true, false, 0, 1, 2, 3, -1, 0.5, 1.5, '', 'a', 'ab', 'abc', 'abcd'];
const pool: unknown[] = [
  ...leaves,
  [],
  ...leaves.map((one) => [one]),
  ...[
    [0, 'a'],
    ['a', 'b', 'c'],
    [[]],
    [{}],
    {},
    { b: { a: 1 } },
    { a: [1], b: null },
    { a: 1, b: 'a', c: 2 },
  ],
  ...leaves.flatMap((one) => [{ a: one }, { b: one }, { c: one }]),
];

/** Evaluates the keywords of `raw`, as the draft defines them. */
function fits(value: unknown, schema: JsonSchema | boolean): boolean {
  if (typeof schema === 'boolean') return schema;
  const inner = (keyword: string) =>
    (schema[keyword] as (JsonSchema | boolean)[]).map((one) => fits(value, one));
  const count = (limit: unknown, holds: (size: number, limit: number) => boolean) =>
    typeof value === 'string' || Array.isArray(value) ? holds(value.length, Number(limit)) : true;
  const checks: Record<string, (limit: never) => boolean> = {
    type: (types: string | string[]) =>
      [types]
        .flat()
        .some((type) => type === typeOf(value) || (type === 'integer' && Number.isInteger(value))),
    enum: (values: unknown[]) => values.includes(value),
    const: (one: unknown) => one === value,
    allOf: () => inner('allOf').every(Boolean),
    anyOf: () => inner('anyOf').some(Boolean),
    oneOf: () => inner('oneOf').filter(Boolean).length === 1,
    minimum: (limit: number) => typeof value !== 'number' || value >= limit,
    maximum: (limit: number) => typeof value !== 'number' || value <= limit,
    exclusiveMinimum: (limit: number) => typeof value !== 'number' || value > limit,
    exclusiveMaximum: (limit: number) => typeof value !== 'number' || value < limit,
    multipleOf: (step: number) => typeof value !== 'number' || Number.isInteger(value / step),
    minLength: (limit: number) => Array.isArray(value) || count(limit, (size, least) => size >= least),
    maxLength: (limit: number) => Array.isArray(value) || count(limit, (size, most) => size <= most),
    minItems: (limit: number) => typeof value === 'string' || count(limit, (size, least) => size >= least),
    maxItems: (limit: number) => typeof value === 'string' || count(limit, (size, most) => size <= most),
    items: (item: JsonSchema) => !Array.isArray(value) || value.every((one) => fits(one, item)),
    required: (list: string[]) =>
      typeOf(value) !== 'object' || list.every((name) => name in (value as object)),
    properties: (fields: Record<string, JsonSchema>) =>
      typeOf(value) !== 'object' ||
      Object.entries(fields).every(
        ([name, one]) => !(name in (value as object)) || fits((value as JsonSchema)[name], one),
      ),
    additionalProperties: (other: JsonSchema) =>
      typeOf(value) !== 'object' ||
      Object.entries(value as object).every(
        ([name, one]) => name in ((schema['properties'] ?? {}) as object) || fits(one, other),
      ),
  };
  return Object.entries(schema).every(([keyword, limit]) => checks[keyword]!(limit as never));
}
const typeOf = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;

it('every value that fits one schema fits the other one, if they are called compatible', () => {
  let compatible = 0;
  fc.assert(
    fc.property(raw, raw, (sent, accepted) => {
      if (compareSchemas(sent, accepted).length > 0) return;
      compatible += 1;
      expect(pool.filter((value) => fits(value, sent) && !fits(value, accepted))).toEqual([]);
    }),
    { numRuns: runs },
  );
  expect(compatible).toBeGreaterThan(runs / 50);
});
