import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { z } from 'zod';
import { jsonSchema } from '../description.ts';
import type { JsonSchema } from '../json-schema.ts';
import { compareSchemas } from './compare-schemas.ts';

const runs = { numRuns: Number(process.env.TEST_RUNS ?? 400) };

/** A schema of a contract, as data that can be changed. */
type Spec =
  | { kind: 'text'; min: number; max: number }
  | { kind: 'integer' | 'number'; min: number; max: number }
  | { kind: 'boolean' | 'nothing' }
  | { kind: 'values'; values: string[] }
  | { kind: 'list'; item: Spec; min: number; max: number }
  | { kind: 'map'; value: Spec }
  | { kind: 'either'; options: Spec[] }
  | { kind: 'fields'; isStrict: boolean; fields: Record<string, { schema: Spec; isOptional: boolean }> };

const range = fc.tuple(fc.nat(3), fc.nat(4)).map(([min, more]) => ({ min, max: min + more }));
const words = ['red', 'green', 'blue', 'gold'];
const names = ['a', 'b', 'c'];

const spec: fc.Arbitrary<Spec> = fc.letrec<{ spec: Spec }>((tie) => ({
  spec: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    range.map((bounds): Spec => ({ kind: 'text', ...bounds })),
    fc
      .tuple(fc.constantFrom('integer' as const, 'number' as const), range)
      .map(([kind, bounds]): Spec => ({ kind, ...bounds })),
    fc.constantFrom('boolean' as const, 'nothing' as const).map((kind): Spec => ({ kind })),
    fc.subarray(words, { minLength: 1 }).map((values): Spec => ({ kind: 'values', values })),
    fc.tuple(tie('spec'), range).map(([item, bounds]): Spec => ({ kind: 'list', item, ...bounds })),
    tie('spec').map((value): Spec => ({ kind: 'map', value })),
    fc
      .array(tie('spec'), { minLength: 1, maxLength: 3 })
      .map((options): Spec => ({ kind: 'either', options })),
    fc
      .tuple(
        fc.boolean(),
        fc.dictionary(
          fc.constantFrom(...names),
          fc.record({ schema: tie('spec'), isOptional: fc.boolean() }),
        ),
      )
      .map(([isStrict, fields]): Spec => ({ kind: 'fields', isStrict, fields: { ...fields } })),
  ),
})).spec;

function toZod(one: Spec): z.ZodType {
  switch (one.kind) {
    case 'text':
      return z.string().min(one.min).max(one.max);
    case 'integer':
      return z.int().min(one.min).max(one.max);
    case 'number':
      return z.number().min(one.min).max(one.max);
    case 'boolean':
      return z.boolean();
    case 'nothing':
      return z.null();
    case 'values':
      return z.enum(one.values);
    case 'list':
      return z.array(toZod(one.item)).min(one.min).max(one.max);
    case 'map':
      return z.record(z.string(), toZod(one.value));
    case 'either':
      return z.union(one.options.map(toZod) as [z.ZodType]);
    case 'fields': {
      const shape = Object.fromEntries(
        Object.entries(one.fields).map(([name, { schema, isOptional }]) => [
          name,
          isOptional ? toZod(schema).optional() : toZod(schema),
        ]),
      );
      return one.isStrict ? z.strictObject(shape) : z.object(shape);
    }
  }
}

/** Values that fit a schema. */
function valueOf(one: Spec): fc.Arbitrary<unknown> {
  switch (one.kind) {
    case 'text':
      return fc.string({ minLength: one.min, maxLength: one.max });
    case 'integer':
      return fc.integer(one);
    case 'number':
      return fc.double({ min: one.min, max: one.max, noNaN: true });
    case 'boolean':
      return fc.boolean();
    case 'nothing':
      return fc.constant(null);
    case 'values':
      return fc.constantFrom(...one.values);
    case 'list':
      return fc.array(valueOf(one.item), { minLength: one.min, maxLength: one.max });
    case 'map':
      return fc.dictionary(fc.constantFrom(...names, 'z'), valueOf(one.value)).map((map) => ({ ...map }));
    case 'either':
      return fc.oneof(...one.options.map(valueOf));
    case 'fields': {
      const requiredKeys = Object.keys(one.fields).filter((name) => !one.fields[name]!.isOptional);
      const model = Object.fromEntries(
        Object.entries(one.fields).map(([name, { schema }]) => [name, valueOf(schema)]),
      );
      return fc.record(model, { requiredKeys }).map((fields) => ({ ...fields }));
    }
  }
}

/** Replaces one part of a schema, at a random depth. */
const change = (one: Spec, replace: (part: Spec) => fc.Arbitrary<Spec>): fc.Arbitrary<Spec> => {
  const inside: fc.Arbitrary<Spec>[] = [];
  if (one.kind === 'list') inside.push(change(one.item, replace).map((item) => ({ ...one, item })));
  if (one.kind === 'map') inside.push(change(one.value, replace).map((value) => ({ ...one, value })));
  if (one.kind === 'either')
    for (const [index, option] of one.options.entries())
      inside.push(
        change(option, replace).map((changed) => ({ ...one, options: one.options.with(index, changed) })),
      );
  if (one.kind === 'fields')
    for (const [name, field] of Object.entries(one.fields))
      inside.push(
        change(field.schema, replace).map((schema) => ({
          ...one,
          fields: { ...one.fields, [name]: { ...field, schema } },
        })),
      );
  return fc.oneof(replace(one), ...inside);
};

/** A change that a receiver may make: whatever was accepted still is. */
const widen = (one: Spec): fc.Arbitrary<Spec> => {
  const wider: fc.Arbitrary<Spec>[] = [
    spec.map((other): Spec => ({ kind: 'either', options: [other, one] })),
  ];
  if ('min' in one)
    wider.push(fc.nat(3).map((less) => ({ ...one, min: Math.max(0, one.min - less), max: one.max + less })));
  if (one.kind === 'integer') wider.push(fc.constant({ ...one, kind: 'number' }));
  if (one.kind === 'values')
    wider.push(
      fc.subarray(words).map((more) => ({ ...one, values: [...new Set([...more, ...one.values])] })),
    );
  if (one.kind === 'fields')
    wider.push(
      fc.constant({ ...one, isStrict: false }),
      fc.constant({
        ...one,
        fields: Object.fromEntries(
          Object.entries(one.fields).map(([name, { schema }]) => [name, { schema, isOptional: true }]),
        ),
      }),
      spec.map((schema) => ({ ...one, fields: { ...one.fields, added: { schema, isOptional: true } } })),
    );
  return fc.oneof(...wider);
};

const repeat =
  (count: number, step: (one: Spec) => fc.Arbitrary<Spec>) =>
  (one: Spec): fc.Arbitrary<Spec> =>
    count === 0 ? fc.constant(one) : step(one).chain(repeat(count - 1, step));

const sentSchema = (one: Spec): JsonSchema => jsonSchema(toZod(one), 'output');
const acceptedSchema = (one: Spec): JsonSchema => jsonSchema(toZod(one), 'input');

describe('of two versions of a contract', () => {
  it('the receiver accepts every value, if they are called compatible', () => {
    let compatible = 0;
    fc.assert(
      fc.property(
        spec.chain((sent) =>
          fc.tuple(
            fc.constant(sent),
            // Some related schemas, which are often compatible, and some that are not.
            fc.oneof(
              fc
                .nat(3)
                .chain((count) =>
                  repeat(count, (one) => change(one, (part) => fc.oneof(widen(part), spec)))(sent),
                ),
              spec,
            ),
            fc.array(valueOf(sent), { minLength: 1, maxLength: 5 }),
          ),
        ),
        ([sent, accepted, values]) => {
          if (compareSchemas(sentSchema(sent), acceptedSchema(accepted)).length > 0) return;
          compatible += 1;
          const schema = toZod(accepted);
          for (const value of values) expect(schema.safeParse(value).success).toBe(true);
        },
      ),
      runs,
    );
    expect(compatible).toBeGreaterThan(runs.numRuns / 10);
  });

  it('each is compatible with itself', () => {
    fc.assert(
      fc.property(spec, (one) => {
        expect(compareSchemas(sentSchema(one), acceptedSchema(one))).toEqual([]);
      }),
      runs,
    );
  });

  it('a wider one is compatible', () => {
    fc.assert(
      fc.property(
        spec.chain((one) =>
          fc.tuple(
            fc.constant(one),
            fc
              .integer({ min: 1, max: 3 })
              .chain((count) => repeat(count, (part) => change(part, widen))(one)),
          ),
        ),
        ([before, after]) => {
          expect(compareSchemas(sentSchema(before), acceptedSchema(after))).toEqual([]);
        },
      ),
      runs,
    );
  });
});
