import type { JsonSchema } from '../json-schema.ts';
import { isEqual, isObject, resolveReference, Undecidable, type Schema } from './schema-text.ts';

export type Verdict = 'valid' | 'invalid' | 'undecided';

const all = (verdicts: readonly Verdict[]): Verdict =>
  verdicts.includes('invalid') ? 'invalid' : verdicts.includes('undecided') ? 'undecided' : 'valid';

const check = (holds: boolean): Verdict => (holds ? 'valid' : 'invalid');

const agree = ([one, other]: boolean[]): Verdict => (one === other ? check(one!) : 'undecided');

/** How deep references are followed. */
const maxDepth = 20;

/**
 * Checks one value. Patterns and formats of texts are undecided: a pattern of an untrusted contract can take forever.
 * So are unknown keywords, and the content of objects and arrays, which contracts do not list as values.
 */
export function checkValue(value: unknown, schema: Schema, root: Schema, depth = 0): Verdict {
  if (typeof schema === 'boolean') return check(schema);
  if (depth > maxDepth) return 'undecided';
  return all(Object.entries(schema).map((entry) => checkKeyword(value, entry, { schema, root, depth })));
}

interface Place {
  schema: JsonSchema;
  root: Schema;
  depth: number;
}

function checkKeyword(value: unknown, [keyword, limit]: [string, unknown], { root, depth }: Place): Verdict {
  const checkInner = (one: unknown): Verdict => checkValue(value, one as Schema, root, depth + 1);
  switch (keyword) {
    case '$defs':
    case 'x-sensitive':
      return 'valid';
    case '$ref':
      return checkReference(String(limit), root, checkInner);
    case 'const':
      return check(isEqual(value, limit));
    case 'enum':
      return check((limit as unknown[]).some((one) => isEqual(one, value)));
    case 'type':
      return check([limit].flat().some((type) => hasType(value, type)));
    case 'allOf':
      return all((limit as unknown[]).map(checkInner));
    case 'anyOf':
    case 'oneOf':
      return checkOptions((limit as unknown[]).map(checkInner), keyword === 'oneOf');
    case 'not': {
      const verdict = checkInner(limit);
      return verdict === 'undecided' ? verdict : check(verdict === 'invalid');
    }
    default:
      return checkLimit(value, keyword, limit);
  }
}

function checkReference(reference: string, root: Schema, checkInner: (schema: Schema) => Verdict): Verdict {
  try {
    return checkInner(resolveReference(reference, root));
  } catch (error) {
    if (error instanceof Undecidable) return 'undecided';
    throw error;
  }
}

function checkOptions(verdicts: Verdict[], exactlyOne: boolean): Verdict {
  const [valid, undecided] = (['valid', 'undecided'] as const).map(
    (verdict) => verdicts.filter((one) => one === verdict).length,
  ) as [number, number];
  if (exactlyOne && valid > 1) return 'invalid';
  if (valid > 0 && (!exactlyOne || undecided === 0)) return 'valid';
  return undecided > 0 ? 'undecided' : 'invalid';
}

function hasType(value: unknown, type: unknown): boolean {
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'null') return value === null;
  if (type === 'array') return Array.isArray(value);
  return type === 'object' ? isObject(value) : typeof value === type;
}

/** The limits of numbers and texts. A keyword about other types than that of the value holds. */
function checkLimit(value: unknown, keyword: string, limit: unknown): Verdict {
  if (typeof value === 'string') {
    // JSON Schema counts characters, zod counts UTF-16 code units.
    const lengths = [[...value].length, value.length];
    if (keyword === 'minLength') return agree(lengths.map((length) => length >= Number(limit)));
    if (keyword === 'maxLength') return agree(lengths.map((length) => length <= Number(limit)));
  } else if (typeof value === 'number' && typeof limit === 'number') {
    if (keyword === 'minimum') return check(value >= limit);
    if (keyword === 'maximum') return check(value <= limit);
    if (keyword === 'exclusiveMinimum') return check(value > limit);
    if (keyword === 'exclusiveMaximum') return check(value < limit);
    if (keyword === 'multipleOf' && Number.isInteger(limit) && Number.isInteger(value))
      return check(value % limit === 0);
  }
  const type = keywordTypes[keyword];
  return type !== undefined && !hasType(value, type) ? 'valid' : 'undecided';
}

/** The type that a keyword is about: it permits all values of other types. */
const keywordTypes: Record<string, string> = Object.fromEntries(
  [
    ['string', 'minLength maxLength pattern format contentEncoding contentMediaType'],
    ['number', 'minimum maximum exclusiveMinimum exclusiveMaximum multipleOf'],
    ['array', 'items prefixItems minItems maxItems uniqueItems contains minContains maxContains'],
    ['object', 'properties required additionalProperties propertyNames minProperties maxProperties'],
  ].flatMap(([type, keywords]) => keywords!.split(' ').map((keyword) => [keyword, type!])),
);
