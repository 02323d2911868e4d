import fc from 'fast-check';
import { type JsonSchema, type Operation } from './api-document.ts';
import { generateInput, generatePlainInput, type Input, type KnownValues } from './made-input.ts';

/** Fields that an attacker may try to set: of other members, of the store, and of JavaScript. */
export const forbiddenFields = [
  ...['memberId', 'roles', 'role', 'status', 'total', 'price', 'amount', 'version', 'caller', 'access', 'id'],
  ...['orderId', 'isAdmin', 'constructor', 'prototype', '__proto__', 'toString', 'then', '$ne', '$where'],
];

const junk: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue({ maxDepth: 2, stringUnit: 'grapheme' }),
  fc.string({ maxLength: 300, unit: 'binary' }).map((text) => text.toWellFormed()),
  fc.constantFrom<unknown>(
    ...['', ' ', '\u0000', '\u202e', '\ufeff', "' OR 1=1 --", '{{7*7}}', '../../etc/passwd', '%', '_', '\\'],
    ...[0, -1, 0.5, 1e21, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 31, 2 ** 63, -0],
    ...[null, true, [], {}, [[]], { $gt: '' }, [null], 'null', '0', 'NaN', 'Infinity', '1e309'],
  ),
);

/** Generates input with one malformed or unusual part. */
export function generateMalformedInput(operation: Operation, known: KnownValues): fc.Arbitrary<Input> {
  const part = fc.constantFrom<'path' | 'query' | 'body'>('path', 'query', 'body', 'body');
  const how = fc.constantFrom<'drop' | 'add' | 'replace' | 'whole'>(
    'drop',
    'add',
    'replace',
    'replace',
    'whole',
  );
  const name = fc.oneof(fc.constantFrom(...forbiddenFields), fc.string({ minLength: 1, maxLength: 10 }));
  return fc
    .tuple(generateInput(operation, { known, plain: false }), part, how, fc.nat(), name, junk)
    .map(([input, part, how, at, name, value]) => {
      const malformed = structuredClone(input);
      if (part === 'body' && how === 'whole') return { ...malformed, body: value };
      const places = listPlaces(malformed[part]);
      const place = places[at % places.length];
      if (!place) return malformed;
      if (how === 'drop' && part !== 'path') delete place.owner[place.key];
      else if (how === 'add' && part !== 'path') define(place.owner, name, value);
      else define(place.owner, place.key, value);
      return malformed;
    });
}

type Owner = Record<string, unknown>;

function listPlaces(value: unknown): { owner: Owner; key: string }[] {
  if (value === null || typeof value !== 'object') return [];
  const owner = value as Owner;
  return Object.keys(owner).flatMap((key) => [{ owner, key }, ...listPlaces(owner[key])]);
}

/** Works for `__proto__` too, unlike an assignment. */
const define = (owner: Owner, key: string, value: unknown) =>
  Object.defineProperty(owner, key, { value, enumerable: true, configurable: true, writable: true });

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
