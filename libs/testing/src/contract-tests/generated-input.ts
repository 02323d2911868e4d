import { jsonSchema } from '@jogakbo/contract';
import fc from 'fast-check';
import type { z } from 'zod';
import {
  applyChange,
  generateChange,
  generateValue,
  type GenerationOptions,
  type KnownValues,
} from '../generated-values.ts';

/** Values in a row that may fail a rule of the schema that JSON Schema cannot express. */
const maxMisses = 2_000;

/** Keeps the values that `fits`. @throws Error, instead of searching forever */
function filterValues<T>(arbitrary: fc.Arbitrary<T>, fits: (value: T) => boolean): fc.Arbitrary<T> {
  let misses = 0;
  return arbitrary.filter((value) => {
    if (fits(value)) misses = 0;
    else if (++misses > maxMisses) throw new Error(`none of ${maxMisses} generated values fits the schema`);
    return misses === 0;
  });
}

/** Generates values that fit a schema before parsing: the input of a request, or what a handler returns. */
export function generateFitting(schema: z.ZodType, options: GenerationOptions): fc.Arbitrary<unknown> {
  const described = jsonSchema(schema, 'input');
  // The schema of an absent output.
  if (Object.keys(described).length === 0 && schema.safeParse(undefined).success)
    return fc.constant(undefined);
  return filterValues(generateValue(described, options), (value) => schema.safeParse(value).success);
}

/** Names that a schema may forget to refuse. */
const surplusNames = ['unexpected', 'id', 'version', 'constructor', '__proto__'];

/**
 * Generates values that do not fit the schema of an object: a valid one with one field dropped, added or replaced. A
 * replacement may be valid; such values are skipped.
 */
export function generateNearMiss(schema: z.ZodType, known: KnownValues): fc.Arbitrary<unknown> {
  const changed = fc
    .tuple(generateFitting(schema, { known, plain: false }), generateChange(surplusNames))
    .map(([value, change]) => {
      const copy = structuredClone(value);
      if (Object.keys(copy as object).length === 0) Object.assign(copy as object, { unexpected: true });
      else applyChange(copy, change);
      return copy;
    });
  // As it arrives: JSON has neither undefined nor -0.
  return filterValues(changed, (value) => !schema.safeParse(JSON.parse(JSON.stringify(value))).success);
}
