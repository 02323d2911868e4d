import fc from 'fast-check';
import { type JsonSchema, type Operation } from './api-document.ts';
import { generateInput, plainInput, type Input, type Things } from './made-input.ts';

/** What a stranger may try to set: of somebody else, of the store's own, of JavaScript. */
export const strangeFields = [
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

/** Input of which one thing is wrong, or strange. */
export function spoiltInput(operation: Operation, things: Things): fc.Arbitrary<Input> {
  const part = fc.constantFrom<'path' | 'query' | 'body'>('path', 'query', 'body', 'body');
  const how = fc.constantFrom<'drop' | 'add' | 'replace' | 'whole'>(
    'drop',
    'add',
    'replace',
    'replace',
    'whole',
  );
  const name = fc.oneof(fc.constantFrom(...strangeFields), fc.string({ minLength: 1, maxLength: 10 }));
  return fc
    .tuple(generateInput(operation, { things, plain: false }), part, how, fc.nat(), name, junk)
    .map(([input, part, how, at, name, value]) => {
      const spoilt = structuredClone(input);
      if (part === 'body' && how === 'whole') return { ...spoilt, body: value };
      const places = placesIn(spoilt[part]);
      const place = places[at % places.length];
      if (!place) return spoilt;
      if (how === 'drop' && part !== 'path') delete place.owner[place.key];
      else if (how === 'add' && part !== 'path') define(place.owner, name, value);
      else define(place.owner, place.key, value);
      return spoilt;
    });
}

type Owner = Record<string, unknown>;

function placesIn(value: unknown): { owner: Owner; key: string }[] {
  if (value === null || typeof value !== 'object') return [];
  const owner = value as Owner;
  return Object.keys(owner).flatMap((key) => [{ owner, key }, ...placesIn(owner[key])]);
}

/** Also what an assignment would take for something else (`__proto__`). */
const define = (owner: Owner, key: string, value: unknown) =>
  Object.defineProperty(owner, key, { value, enumerable: true, configurable: true, writable: true });

/** Every object of a schema, with the path that leads to it. */
export function findObjects(schema: JsonSchema, path: (string | number)[] = []): (string | number)[][] {
  const { properties, items } = schema as { properties?: Record<string, JsonSchema>; items?: JsonSchema };
  if (items) return findObjects(items, [...path, 0]);
  if (!properties) return [];
  return [
    path,
    ...Object.entries(properties).flatMap(([name, child]) => findObjects(child, [...path, name])),
  ];
}

/** A whole body, with what may be left out as well, so that each of its objects can be reached. */
export function wholeBody(operation: Operation, things: Things): Record<string, unknown> {
  const all = (schema: JsonSchema): JsonSchema => ({
    ...schema,
    ...(schema['properties'] !== undefined && {
      required: Object.keys(schema['properties'] as object),
      properties: Object.fromEntries(
        Object.entries(schema['properties'] as Record<string, JsonSchema>).map(([name, one]) => [
          name,
          all(one),
        ]),
      ),
    }),
    ...(schema['items'] !== undefined && { items: all(schema['items'] as JsonSchema), minItems: 1 }),
  });
  return plainInput({ ...operation, body: all(operation.body!) }, things).body as Record<string, unknown>;
}
