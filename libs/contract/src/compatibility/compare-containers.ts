import type { JsonSchema } from '../json-schema.ts';
import { compareSize, type Report } from './compare-scalars.ts';
import {
  intersect,
  listFields,
  listKeyword,
  listNumbers,
  type Alternative,
  type SentFields,
} from './sent-values.ts';
import { checkValue } from './check-value.ts';
import type { Schema } from './schema-text.ts';

/** The comparison that a part of a schema belongs to. */
export interface Comparing {
  acceptedRoot: Schema;
  options: { ignoresUnknownFields?: boolean; keepsFields?: boolean };
  compare(sent: Schema, accepted: Schema, path: readonly string[]): void;
  report: (path: readonly string[]) => Report;
}

/** Compares arrays that are sent with what a schema accepts. */
export function compareArrays(
  sent: Alternative,
  accepted: JsonSchema,
  path: readonly string[],
  comparing: Comparing,
): void {
  const report = comparing.report(path);
  compareSize(sent, accepted, { least: 'minItems', most: 'maxItems', unit: 'items' }, report);
  if (accepted['uniqueItems'] === true && !listKeyword(sent, 'uniqueItems').includes(true))
    report.breaking('can have equal items, but only different ones are accepted');
  const length = Math.min(Infinity, ...listNumbers(sent, 'maxItems'));
  const fixed = Math.max(0, ...[...sent, accepted].map((one) => listItems(one).length));
  for (let index = 0; index < Math.min(fixed, length); index += 1)
    comparing.compare(intersect(sent.map((one) => getItem(one, index))), getItem(accepted, index), [
      ...path,
      String(index),
    ]);
  if (length > fixed)
    comparing.compare(intersect(sent.map((one) => getItem(one, fixed))), getItem(accepted, fixed), [
      ...path,
      '*',
    ]);
}

const listItems = ({ prefixItems }: JsonSchema): Schema[] => (prefixItems ?? []) as Schema[];
const getItem = (schema: JsonSchema, index: number): Schema =>
  listItems(schema)[index] ?? (schema['items'] as Schema | undefined) ?? true;

/** Compares objects that are sent with what a schema accepts. */
export function compareFields(
  sent: Alternative,
  accepted: JsonSchema,
  path: readonly string[],
  comparing: Comparing,
): void {
  const fields = listFields(sent);
  compareRequired(fields, accepted, path, comparing);
  compareDeclared(fields, accepted, path, comparing);
  if (fields.additional !== undefined) compareAdditional(sent, fields, accepted, path, comparing);
  else if (comparing.options.keepsFields) findRemoved(fields, accepted, path, comparing);
  const most = fields.additional === undefined ? fields.declared.size : Infinity;
  const size = { least: 'minProperties', most: 'maxProperties', unit: 'fields' };
  compareSize(sent, accepted, size, comparing.report(path), [fields.required.size, most]);
}

const getAccepted = ({ properties }: JsonSchema): Record<string, Schema> =>
  (properties ?? {}) as Record<string, Schema>;

function compareRequired(
  { declared, additional, required }: SentFields,
  accepted: JsonSchema,
  path: readonly string[],
  { report }: Comparing,
): void {
  for (const name of (accepted['required'] ?? []) as string[]) {
    if (required.has(name)) continue;
    const isSent = declared.has(name) || additional !== undefined;
    report([...path, name]).breaking(
      isSent ? 'can be missing, but is required' : 'is not sent, but is required',
    );
  }
}

function compareDeclared(
  { declared }: SentFields,
  accepted: JsonSchema,
  path: readonly string[],
  comparing: Comparing,
): void {
  const known = getAccepted(accepted);
  const others = accepted['additionalProperties'] as Schema | undefined;
  for (const [name, schema] of declared) {
    const at = [...path, name];
    if (Object.hasOwn(known, name)) comparing.compare(schema, known[name]!, at);
    else if (others === false) {
      if (!comparing.options.ignoresUnknownFields)
        comparing.report(at).breaking('is sent, but such a field is not accepted');
    } else if (others !== undefined) comparing.compare(schema, others, at);
    const verdict = checkValue(name, (accepted['propertyNames'] ?? true) as Schema, comparing.acceptedRoot);
    if (verdict === 'invalid') comparing.report(at).breaking('is sent, but such a name is not accepted');
    if (verdict === 'undecided') comparing.report(at).undecided('whether a field with this name is accepted');
  }
}

/** Fields without a declaration can have any name, and so also a name that the receiver knows. */
function compareAdditional(
  sent: Alternative,
  { declared, additional }: SentFields,
  accepted: JsonSchema,
  path: readonly string[],
  comparing: Comparing,
): void {
  for (const [name, schema] of Object.entries(getAccepted(accepted)))
    if (!declared.has(name)) comparing.compare(additional!, schema, [...path, name]);
  const others = accepted['additionalProperties'] as Schema | undefined;
  if (others === false) {
    if (!comparing.options.ignoresUnknownFields)
      comparing.report(path).breaking('can have further fields, which are not accepted');
  } else if (others !== undefined) comparing.compare(additional!, others, [...path, '*']);
  const names = accepted['propertyNames'] as Schema | undefined;
  if (names !== undefined) {
    const sentNames = [{ type: 'string' }, ...listKeyword<Schema>(sent, 'propertyNames')];
    comparing.compare(intersect(sentNames), names, [...path, '(name)']);
  }
}

function findRemoved(
  { declared }: SentFields,
  accepted: JsonSchema,
  path: readonly string[],
  { report }: Comparing,
): void {
  const required = new Set((accepted['required'] ?? []) as string[]);
  for (const name of Object.keys(getAccepted(accepted)))
    if (!declared.has(name) && !required.has(name)) report([...path, name]).breaking('is no longer sent');
}
