import { z } from 'zod';

/** The JSON Schema keyword of a sensitive field, in announcements and documents. */
const keyword = 'x-sensitive';
const anyItem = '*';

/**
 * Marks a field as a secret: a password, a token, a postal address. Apply it last, after all checks of the schema.
 *
 * - A request with such a field, at any depth of its input or output, is `sensitive` as a whole: both are encrypted.
 * - In an event the field is encrypted for the service that owns the event; other consumers get an opaque string.
 */
export const sensitive = <T extends z.ZodType>(schema: T): T =>
  schema.meta({ ...schema.meta(), [keyword]: true });

type Node = Record<string, unknown>;

/** Whether a schema has a sensitive field at any depth. */
export function hasSensitiveField(schema: z.ZodType, io: 'input' | 'output'): boolean {
  const contains = (node: unknown): boolean =>
    typeof node === 'object' &&
    node !== null &&
    ((node as Node)[keyword] === true || Object.values(node).some(contains));
  return contains(z.toJSONSchema(schema, { io, unrepresentable: 'any' }));
}

/**
 * Finds the paths of the sensitive fields of an event: field names, `*` for every item of an array.
 * @throws Error if one is not a string, or has no fixed path: it could not be encrypted in place
 */
export function findSensitiveFields(name: string, schema: z.ZodType): string[][] {
  if (!hasSensitiveField(schema, 'output')) return [];
  const paths: string[][] = [];
  const walk = (node: unknown, path: string[]): void => {
    if (typeof node !== 'object' || node === null) return;
    const { type, properties, items, anyOf, oneOf, allOf, ...rest } = node as Node;
    if (rest[keyword] === true) {
      if (type !== 'string')
        throw new Error(`${name}: the sensitive field ${path.join('.')} must be a string`);
      paths.push(path);
      return;
    }
    for (const [field, child] of Object.entries((properties ?? {}) as Node)) walk(child, [...path, field]);
    walk(items, [...path, anyItem]);
    for (const options of [anyOf, oneOf, allOf])
      for (const option of (options ?? []) as Node[]) walk(option, path);
    if (JSON.stringify(rest).includes(`"${keyword}":true`))
      throw new Error(
        `${name}: a sensitive field of an event must be in an object or array with a fixed shape`,
      );
  };
  walk(z.toJSONSchema(schema, { io: 'output', unrepresentable: 'any' }), []);
  return paths;
}

/**
 * Replaces the strings at some paths of a value; paths that do not exist are skipped.
 * @param paths from `findSensitiveFields`
 * @returns a copy
 */
export function replaceFields(
  value: unknown,
  paths: readonly (readonly string[])[],
  replace: (text: string) => string,
): unknown {
  if (paths.length === 0 || value === null || value === undefined) return value;
  if (paths.some((path) => path.length === 0)) return typeof value === 'string' ? replace(value) : value;
  if (typeof value !== 'object') return value;
  const getPathsBelow = (name: string) =>
    paths.filter(([first]) => first === name).map(([, ...rest]) => rest);
  if (Array.isArray(value)) return value.map((item) => replaceFields(item, getPathsBelow(anyItem), replace));
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [name, replaceFields(field, getPathsBelow(name), replace)]),
  );
}
