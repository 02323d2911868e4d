import type { JsonSchema } from '../json-schema.ts';
import type { SchemaProblem } from './compare-schemas.ts';
import { isObject, sensitiveKeyword } from './schema-text.ts';

/**
 * Compares which fields of an event are sensitive: consumers get those as opaque texts. Fields that only one of the schemas
 * has are skipped.
 * @param sent schema of the service that publishes it @param expected schema of a consumer
 */
export function compareSensitivity(sent: JsonSchema, expected: JsonSchema): SchemaProblem[] {
  const before = listFields(expected);
  return [...listFields(sent)].flatMap(([path, isSensitive]) => {
    const was = before.get(path);
    if (was === undefined || was === isSensitive) return [];
    const problem = isSensitive
      ? 'is now encrypted for its own service, so that consumers cannot read it'
      : 'is no longer encrypted, so that consumers could store or log it';
    return [{ path, problem }];
  });
}

/** All fields with a fixed path, and whether each is sensitive: the others cannot be. */
function listFields(schema: JsonSchema): Map<string, boolean> {
  const fields = new Map<string, boolean>();
  const walk = (node: unknown, path: readonly string[]): void => {
    if (!isObject(node)) return;
    const name = path.join('.');
    fields.set(name, fields.get(name) === true || node[sensitiveKeyword] === true);
    for (const [field, child] of Object.entries((node['properties'] ?? {}) as JsonSchema))
      walk(child, [...path, field]);
    walk(node['items'], [...path, '*']);
    for (const options of [node['anyOf'], node['oneOf'], node['allOf']])
      for (const option of (options ?? []) as unknown[]) walk(option, path);
  };
  walk(schema, []);
  return fields;
}
