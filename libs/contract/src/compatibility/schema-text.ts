import type { JsonSchema } from '../json-schema.ts';

/** A JSON Schema, draft 2020-12. `true` permits any value, `false` none. */
export type Schema = JsonSchema | boolean;

/** Keywords that describe a value to people and permit the same values with and without them. */
const annotations = new Set([
  ...['title', 'description', 'default', 'example', 'examples', 'deprecated', 'readOnly', 'writeOnly'],
  ...['$comment', '$schema', '$id', '$anchor', 'id', 'contentSchema'],
]);
/** Marks a sensitive field: the only vendor keyword that changes what is on the wire. */
export const sensitiveKeyword = 'x-sensitive';
/** Keywords whose value has schemas by name. */
const namedSchemas = new Set(['properties', 'patternProperties', '$defs', 'dependentSchemas']);
/** Keywords whose value is data. */
const values = new Set(['const', 'enum', 'required', 'type', 'dependentRequired']);

/** Removes what does not decide which values a schema permits: descriptions, examples, keywords of vendors. */
export function withoutAnnotations<S extends Schema>(schema: S): S {
  return (typeof schema === 'object' ? stripSchema(schema) : schema) as S;
}

function stripSchema(schema: JsonSchema): JsonSchema {
  const kept = Object.entries(schema).filter(
    ([keyword]) => !annotations.has(keyword) && (!keyword.startsWith('x-') || keyword === sensitiveKeyword),
  );
  return Object.fromEntries(
    kept.map(([keyword, value]) => {
      if (values.has(keyword)) return [keyword, value];
      if (namedSchemas.has(keyword) && isObject(value))
        return [keyword, Object.fromEntries(Object.entries(value).map(([name, one]) => [name, strip(one)]))];
      return [keyword, strip(value)];
    }),
  );
}

function strip(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(strip);
  return isObject(value) ? stripSchema(value) : value;
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const texts = new WeakMap<object, string>();

/** JSON with sorted keys: the same for equal values. */
export function toText(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'undefined';
  const known = texts.get(value);
  if (known !== undefined) return known;
  const text = Array.isArray(value)
    ? `[${value.map(toText).join()}]`
    : `{${Object.entries(value)
        .filter(([, one]) => one !== undefined)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, one]) => `${JSON.stringify(key)}:${toText(one)}`)
        .join()}}`;
  texts.set(value, text);
  return text;
}

/** Whether values are equal as JSON. */
export const isEqual = (a: unknown, b: unknown): boolean => toText(a) === toText(b);

/** Two schemas cannot be compared. The message is the end of a sentence: "cannot be decided: …". */
export class Undecidable extends Error {}

/**
 * Finds what a `$ref` points to, within its document.
 * @throws Undecidable for a reference to another document, or to nothing
 */
export function resolveReference(reference: string, root: Schema): Schema {
  if (reference !== '#' && !reference.startsWith('#/'))
    throw new Undecidable(`${reference} is in another document`);
  let found: unknown = root;
  for (const step of reference.split('/').slice(1)) {
    const name = decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~');
    found = isObject(found) && Object.hasOwn(found, name) ? found[name] : undefined;
  }
  if (typeof found !== 'boolean' && !isObject(found)) throw new Undecidable(`${reference} does not exist`);
  return found;
}
