import { isEqual, isObject, resolveReference, toText, Undecidable, type Schema } from './schema-text.ts';
import { checkValue } from './check-value.ts';
import type { JsonSchema } from '../json-schema.ts';

/**
 * What a sender may send, as alternatives. A value of an alternative fits all of its schemas. They contain no combinators
 * (`$ref`, `allOf`, `anyOf`, `oneOf`) at their top level, and at most one type each.
 */
export type Alternative = readonly JsonSchema[];

export const jsonTypes = ['null', 'boolean', 'number', 'string', 'array', 'object'] as const;
export type JsonType = (typeof jsonTypes)[number];

/** More would take too long to compare. */
const maxAlternatives = 256;

/** Whether a schema permits no value at all, written as `false`, `{ not: {} }` or `{ not: true }`. */
export const isNever = (schema: Schema): boolean =>
  schema === false || (isObject(schema) && (isEqual(schema['not'], {}) || schema['not'] === true));

/** @throws Undecidable if there are too many alternatives, or a schema refers to itself without an object between */
export function listAlternatives(
  schema: Schema,
  root: Schema,
  within: readonly string[] = [],
): Alternative[] {
  if (schema === true) return [[]];
  if (schema === false || isNever(schema)) return [];
  const { $ref, $defs: _, allOf, anyOf, oneOf, type, ...rest } = schema;
  let found: Alternative[] = Object.keys(rest).length > 0 ? [[rest]] : [[]];
  if (type !== undefined)
    found = combine(
      found,
      [type].flat().map((one) => [{ type: assertType(one) }]),
    );
  if ($ref !== undefined) {
    const reference = String($ref);
    if (within.includes(reference)) throw new Undecidable(`${reference} refers to itself`);
    found = combine(found, listAlternatives(resolveReference(reference, root), root, [...within, reference]));
  }
  for (const one of (allOf ?? []) as Schema[]) found = combine(found, listAlternatives(one, root, within));
  for (const options of [anyOf, oneOf] as (Schema[] | undefined)[])
    if (options)
      found = combine(
        found,
        options.flatMap((one) => listAlternatives(one, root, within)),
      );
  return found;
}

function assertType(type: unknown): unknown {
  if (type === 'integer' || jsonTypes.includes(type as JsonType)) return type;
  throw new Undecidable(`the type ${toText(type)} is unknown`);
}

function combine(some: readonly Alternative[], others: readonly Alternative[]): Alternative[] {
  if (some.length * others.length > maxAlternatives) throw new Undecidable('there are too many alternatives');
  return some.flatMap((one) => others.map((other) => [...one, ...other]));
}

/** The JSON types of a `type` keyword; `integer` is a number. */
export const toTypes = (type: unknown): readonly JsonType[] =>
  type === undefined
    ? jsonTypes
    : [type].flat().map((one) => (one === 'integer' ? 'number' : (one as JsonType)));

export const listTypes = (sent: Alternative): JsonType[] =>
  jsonTypes.filter((type) => sent.every((one) => toTypes(one['type']).includes(type)));

/** All values that can be sent, if they are few and listed: of `const`, `enum`, booleans and null. */
export function listValues(sent: Alternative, root: Schema): unknown[] | undefined {
  const lists = sent.flatMap((one) => [
    ...('const' in one ? [[one['const']]] : []),
    ...(Array.isArray(one['enum']) ? [one['enum'] as unknown[]] : []),
  ]);
  const types = listTypes(sent);
  if (types.length > 0 && types.every((type) => type === 'null' || type === 'boolean'))
    lists.push(types.flatMap((type) => (type === 'null' ? [null] : [true, false])));
  const [first] = lists;
  if (!first) return undefined;
  const distinct = [...new Map(first.map((value) => [toText(value), value])).values()];
  return distinct.filter((value) => sent.every((one) => checkValue(value, one, root) !== 'invalid'));
}

/** The values of a keyword in all schemas of an alternative. */
export const listKeyword = <T>(sent: Alternative, keyword: string): T[] =>
  sent.flatMap((one) => (keyword in one ? [one[keyword] as T] : []));

/** The same for a keyword that must be a number; others are skipped. */
export const listNumbers = (sent: Alternative, keyword: string): number[] =>
  listKeyword(sent, keyword).filter((one): one is number => typeof one === 'number');

/**
 * The fields that can be sent: those that a schema declares, and others only where `additionalProperties` is present. An
 * object without `properties` can have any field.
 */
export interface SentFields {
  /** What is sent in each declared field. */
  declared: Map<string, Schema>;
  /** What is sent in other fields; undefined if there are none. */
  additional: Schema | undefined;
  required: ReadonlySet<string>;
}

export function listFields(sent: Alternative): SentFields {
  const names = new Set(listKeyword<JsonSchema>(sent, 'properties').flatMap((fields) => Object.keys(fields)));
  const declared = new Map<string, Schema>();
  for (const name of names) {
    const schemas = sent.flatMap((one): Schema[] => {
      const fields = (one['properties'] ?? {}) as Record<string, Schema>;
      if (Object.hasOwn(fields, name)) return [fields[name]!];
      return one['additionalProperties'] === undefined ? [] : [one['additionalProperties'] as Schema];
    });
    const schema = intersect(schemas);
    if (!isNever(schema)) declared.set(name, schema);
  }
  const open = listKeyword<Schema>(sent, 'additionalProperties');
  const isOpen = open.length > 0 || !sent.some((one) => 'properties' in one);
  const additional = isOpen && !open.some(isNever) ? intersect(open) : undefined;
  return { declared, additional, required: new Set(listKeyword<string[]>(sent, 'required').flat()) };
}

/** The schema of values that fit all of some schemas. */
export function intersect(schemas: readonly Schema[]): Schema {
  if (schemas.some((one) => one === false)) return false;
  const some = [...new Map(schemas.filter((one) => one !== true).map((one) => [toText(one), one])).values()];
  return some.length === 0 ? true : some.length === 1 ? some[0]! : { allOf: some };
}
