import type { JsonSchema } from '../json-schema.ts';
import { checkValue } from './check-value.ts';
import { compareArrays, compareFields, type Comparing } from './compare-containers.ts';
import { compareNumbers, compareStrings, type Report } from './compare-scalars.ts';
import { isDisjoint } from './disjoint-values.ts';
import {
  isNever,
  listAlternatives,
  listTypes,
  listValues,
  toTypes,
  type Alternative,
  type JsonType,
} from './sent-values.ts';
import {
  isEqual,
  resolveReference,
  sensitiveKeyword,
  toText,
  Undecidable,
  withoutAnnotations,
  type Schema,
} from './schema-text.ts';

/** A difference between what is sent and what is accepted, or what its reader expects. */
export interface SchemaProblem {
  /** The field: names joined with `.`, `*` for any item; empty for the whole value. */
  path: string;
  /** A sentence without its subject, the field. */
  problem: string;
  /** Set if it is unknown whether this breaks something: it counts as breaking. */
  isUndecided?: true;
}

export interface SchemaComparison {
  /** The receiver ignores fields that it does not know, although its schema lists them all. */
  ignoresUnknownFields?: boolean;
  /** A field that the receiver knows must still be sent, even where it is optional. */
  keepsFields?: boolean;
}

/** Steps of one comparison: more would take too long. */
const maxSteps = 20_000;

/**
 * Finds what a receiver would not accept of all that a sender may send. Only what the schemas state is compared. A sender
 * sends no fields that its schema does not declare: beside `properties`, others are sent only if `additionalProperties` is
 * present.
 * @param sent schema of the sender @param accepted schema of the receiver
 * @returns empty if every value that fits `sent` fits `accepted`. Where that cannot be decided, there is a problem.
 */
export function compareSchemas(
  sent: Schema,
  accepted: Schema,
  options: SchemaComparison = {},
): SchemaProblem[] {
  return new SchemaComparer(withoutAnnotations(sent), withoutAnnotations(accepted), options).run();
}

class SchemaComparer implements Comparing {
  readonly sentRoot: Schema;
  readonly acceptedRoot: Schema;
  readonly options: SchemaComparison;
  #problems: SchemaProblem[] = [];
  #steps = 0;
  /** Pairs that are being compared: a recursive schema is compatible if its other parts are. */
  readonly #open = new Set<string>();

  /** Not a method: it is passed on without its object. */
  readonly report = (path: readonly string[]): Report => {
    const field = path.join('.');
    return {
      breaking: (problem) => void this.#problems.push({ path: field, problem }),
      undecided: (reason) =>
        void this.#problems.push({
          path: field,
          problem: `cannot be decided: ${reason}`,
          isUndecided: true,
        }),
    };
  };

  constructor(sentRoot: Schema, acceptedRoot: Schema, options: SchemaComparison) {
    this.sentRoot = sentRoot;
    this.acceptedRoot = acceptedRoot;
    this.options = options;
  }

  run(): SchemaProblem[] {
    this.compare(this.sentRoot, this.acceptedRoot, []);
    const distinct = new Map(this.#problems.map((one) => [toText(one), one]));
    return [...distinct.values()];
  }

  compare(sent: Schema, accepted: Schema, path: readonly string[]): void {
    const pair = `${toText(sent)} ${toText(accepted)}`;
    if (this.#open.has(pair) || this.#isSame(sent, accepted)) return;
    this.#open.add(pair);
    try {
      for (const alternative of listAlternatives(sent, this.sentRoot))
        this.#compareAlternative(alternative, accepted, path);
    } catch (error) {
      if (!(error instanceof Undecidable)) throw error;
      this.report(path).undecided(error.message);
    } finally {
      this.#open.delete(pair);
    }
  }

  /** Equal schemas permit the same values, whatever their keywords mean. */
  #isSame(sent: Schema, accepted: Schema): boolean {
    const hasSameReferences = isEqual(this.sentRoot, this.acceptedRoot);
    return isEqual(sent, accepted) && (hasSameReferences || !toText(sent).includes('"$ref"'));
  }

  /** @throws Undecidable */
  #compareAlternative(sent: Alternative, accepted: Schema, path: readonly string[]): void {
    if ((this.#steps += 1) > maxSteps) throw new Undecidable('the schemas are too large to be compared');
    if (accepted === true || listTypes(sent).length === 0) return;
    if (accepted === false || isNever(accepted)) return this.report(path).breaking('is not accepted');
    const { $ref, $defs: _, allOf, anyOf, oneOf, ...rest } = accepted;
    if ($ref !== undefined) {
      const pair = `${sent.map(toText).join()} ${String($ref)}`;
      if (this.#open.has(pair)) return;
      this.#open.add(pair);
      this.#compareAlternative(sent, resolveReference(String($ref), this.acceptedRoot), path);
      this.#open.delete(pair);
    }
    for (const one of (allOf ?? []) as Schema[]) this.#compareAlternative(sent, one, path);
    if (anyOf) this.#matchOption(sent, anyOf as Schema[], false, path);
    if (oneOf) this.#matchOption(sent, oneOf as Schema[], true, path);
    if (Object.keys(rest).length > 0) this.#compareKeywords(sent, rest, path);
  }

  /** Compares with `anyOf` or `oneOf`. Where the whole does not fit one option, each of its types or values must. */
  #matchOption(sent: Alternative, options: Schema[], exactlyOne: boolean, path: readonly string[]): void {
    const attempts = options.map((option) => this.#try(() => this.#compareAlternative(sent, option, path)));
    const match = attempts.findIndex((problems) => problems.length === 0);
    if (match >= 0) {
      const others = exactlyOne ? options.filter((_, index) => index !== match) : [];
      if (others.every((other) => isDisjoint(sent, this.sentRoot, other, this.acceptedRoot))) return;
      return this.report(path).undecided('whether it fits only one of the accepted alternatives');
    }
    const parts = this.#split(sent);
    if (parts.length > 1) {
      for (const part of parts) this.#matchOption(part, options, exactlyOne, path);
      return;
    }
    const [closest] = attempts.sort((a, b) => rate(a) - rate(b));
    this.#problems.push(...(closest ?? [{ path: path.join('.'), problem: 'is not accepted' }]));
  }

  #try(work: () => void): SchemaProblem[] {
    const before = this.#problems;
    const found: SchemaProblem[] = [];
    this.#problems = found;
    try {
      work();
      return found;
    } finally {
      this.#problems = before;
    }
  }

  #split(sent: Alternative): Alternative[] {
    const values = listValues(sent, this.sentRoot);
    if (values) return values.map((value) => [{ const: value }]);
    return listTypes(sent).map((type) => [...sent, { type }]);
  }

  #compareKeywords(sent: Alternative, accepted: JsonSchema, path: readonly string[]): void {
    const report = this.report(path);
    const values = listValues(sent, this.sentRoot);
    if (values) return compareValues(values, accepted, this.acceptedRoot, report);
    const unknown = [...new Set([...sent, accepted].flatMap((one) => findUnknown(one)))];
    for (const keyword of unknown) report.undecided(`the keyword ${keyword} is not supported`);
    for (const group of comparedAsWhole) {
      const isSet = group.some((keyword) => keyword in accepted);
      if (isSet && !sent.some((one) => group.every((keyword) => isEqual(one[keyword], accepted[keyword]))))
        report.undecided(`the keyword ${group[0]} differs`);
    }
    if ('const' in accepted || 'enum' in accepted) {
      const listed = 'const' in accepted ? [accepted['const']] : (accepted['enum'] as unknown[]);
      return report.breaking(`can have other values than ${formatValues(listed)}, which are not accepted`);
    }
    const types = toTypes(accepted['type']);
    for (const type of listTypes(sent)) {
      if (!types.includes(type)) report.breaking(`can be ${typeNames[type]}, which is not accepted`);
      else if (type === 'string') compareStrings(sent, accepted, report);
      else if (type === 'number') compareNumbers(sent, accepted, report);
      else if (type === 'array') compareArrays(sent, accepted, path, this);
      else if (type === 'object') compareFields(sent, accepted, path, this);
    }
  }
}

/** How far an option is from accepting what is sent: one that differs in a field is closer than one of another type. */
const rate = (problems: readonly SchemaProblem[]): number =>
  problems.reduce((sum, { problem }) => sum + (problem.endsWith('which is not accepted') ? 10 : 1), 0);

const typeNames: Record<JsonType, string> = {
  null: 'null',
  boolean: 'true or false',
  number: 'a number',
  string: 'a text',
  array: 'an array',
  object: 'an object',
};

/** Keywords that can be compared only as a whole. A sender that has them sends less than without them. */
const comparedAsWhole = [['not'], ['contains', 'minContains', 'maxContains'], ['dependentRequired']];

const knownKeywords = new Set([
  ...['$ref', '$defs', 'allOf', 'anyOf', 'oneOf', 'type', 'const', 'enum', sensitiveKeyword],
  ...['minLength', 'maxLength', 'pattern', 'format', 'contentEncoding', 'contentMediaType'],
  ...['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  ...['items', 'prefixItems', 'minItems', 'maxItems', 'uniqueItems'],
  ...['properties', 'required', 'additionalProperties', 'propertyNames', 'minProperties', 'maxProperties'],
  ...comparedAsWhole.flat(),
]);

const findUnknown = (schema: JsonSchema): string[] =>
  Object.keys(schema).filter((keyword) => !knownKeywords.has(keyword));

const maxShownValues = 8;
export function formatValues(values: readonly unknown[]): string {
  const shown = values.slice(0, maxShownValues).map(toText).join(', ');
  return values.length > maxShownValues ? `${shown} and ${values.length - maxShownValues} more` : shown;
}

function compareValues(
  values: readonly unknown[],
  accepted: JsonSchema,
  root: Schema,
  { breaking, undecided }: Report,
): void {
  const verdicts = values.map((value) => ({ value, verdict: checkValue(value, accepted, root) }));
  const list = (wanted: string) =>
    verdicts.filter(({ verdict }) => verdict === wanted).map(({ value }) => value);
  const [refused, unclear] = [list('invalid'), list('undecided')];
  if (refused.length > 0)
    breaking(`can be ${formatValues(refused)}, which ${refused.length > 1 ? 'are' : 'is'} not accepted`);
  if (unclear.length > 0)
    undecided(`whether ${formatValues(unclear)} fits the accepted patterns and formats`);
}
