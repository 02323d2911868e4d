import { isEqual, Undecidable, type Schema } from './schema-text.ts';
import { checkValue } from './check-value.ts';
import {
  listAlternatives,
  listFields,
  listKeyword,
  listTypes,
  listValues,
  type Alternative,
} from './sent-values.ts';

/** Whether it is certain that no value fits both what is sent and another schema. */
export function isDisjoint(sent: Alternative, sentRoot: Schema, other: Schema, otherRoot: Schema): boolean {
  const values = listValues(sent, sentRoot);
  if (values) return values.every((value) => checkValue(value, other, otherRoot) === 'invalid');
  try {
    return listAlternatives(other, otherRoot).every((one) => areDisjoint(sent, sentRoot, one, otherRoot));
  } catch (error) {
    if (error instanceof Undecidable) return false;
    throw error;
  }
}

function areDisjoint(sent: Alternative, sentRoot: Schema, other: Alternative, otherRoot: Schema): boolean {
  const types = listTypes(sent).filter((type) => listTypes(other).includes(type));
  return types.every((type) => type === 'object' && haveDisjointFields(sent, sentRoot, other, otherRoot));
}

/** They differ in a field that tells them apart, or one requires a field that the other does not permit. */
function haveDisjointFields(
  sent: Alternative,
  sentRoot: Schema,
  other: Alternative,
  otherRoot: Schema,
): boolean {
  const [fields, others] = [listFields(sent), listFields(other)];
  const isClosed = listKeyword<Schema>(other, 'additionalProperties').some((one) => isEqual(one, false));
  if ([...others.required].some((name) => !fields.declared.has(name) && fields.additional === undefined))
    return true;
  return [...fields.required].some((name) => {
    const schema = fields.declared.get(name);
    const expected = others.declared.get(name);
    if (expected === undefined) return isClosed;
    if (schema === undefined) return false;
    return listAlternatives(schema, sentRoot).every((one) =>
      isDisjointField(one, sentRoot, expected, otherRoot),
    );
  });
}

function isDisjointField(sent: Alternative, sentRoot: Schema, expected: Schema, root: Schema): boolean {
  const values = listValues(sent, sentRoot);
  if (values) return values.every((value) => checkValue(value, expected, root) === 'invalid');
  const alternatives = listAlternatives(expected, root);
  return alternatives.every((one) => !listTypes(one).some((type) => listTypes(sent).includes(type)));
}
