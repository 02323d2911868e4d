import fc from 'fast-check';
import { applyChange, generateChange, type KnownValues } from '@jogakbo/testing/generated-values';
import { type JsonSchema, type Operation } from './api-document.ts';
import { generateInput, generatePlainInput, type Input } from './made-input.ts';

/** Fields that an attacker may try to set: of other members, of the store, and of JavaScript. */
export const forbiddenFields = [
  ...['memberId', 'roles', 'role', 'status', 'total', 'price', 'amount', 'version', 'caller', 'access', 'id'],
  ...['orderId', 'isAdmin', 'constructor', 'prototype', '__proto__', 'toString', 'then', '$ne', '$where'],
];

/** Generates input with one malformed or unusual part. */
export function generateMalformedInput(operation: Operation, known: KnownValues): fc.Arbitrary<Input> {
  const part = fc.constantFrom<'path' | 'query' | 'body'>('path', 'query', 'body', 'body');
  const isWhole = fc.nat({ max: 4 }).map((nth) => nth === 4);
  return fc
    .tuple(generateInput(operation, { known, plain: false }), part, isWhole, generateChange(forbiddenFields))
    .map(([input, part, isWhole, change]) => {
      const malformed = structuredClone(input);
      if (part === 'body' && isWhole) return { ...malformed, body: change.value };
      // A path has exactly its parameters.
      applyChange(malformed[part], part === 'path' ? { ...change, how: 'replace' } : change);
      return malformed;
    });
}

/** @returns the path of every object in a schema */
export function findObjects(schema: JsonSchema, path: (string | number)[] = []): (string | number)[][] {
  const { properties, items } = schema as { properties?: Record<string, JsonSchema>; items?: JsonSchema };
  if (items) return findObjects(items, [...path, 0]);
  if (!properties) return [];
  return [
    path,
    ...Object.entries(properties).flatMap(([name, child]) => findObjects(child, [...path, name])),
  ];
}

/** Generates a body with all optional fields, so that every object of the schema exists. */
export function generateFullBody(operation: Operation, known: KnownValues): Record<string, unknown> {
  const requireAll = (schema: JsonSchema): JsonSchema => ({
    ...schema,
    ...(schema['properties'] !== undefined && {
      required: Object.keys(schema['properties'] as object),
      properties: Object.fromEntries(
        Object.entries(schema['properties'] as Record<string, JsonSchema>).map(([name, one]) => [
          name,
          requireAll(one),
        ]),
      ),
    }),
    ...(schema['items'] !== undefined && { items: requireAll(schema['items'] as JsonSchema), minItems: 1 }),
  });
  return generatePlainInput({ ...operation, body: requireAll(operation.body!) }, known).body as Record<
    string,
    unknown
  >;
}
