import type { JsonSchema } from '../json-schema.ts';
import { listKeyword, listNumbers, type Alternative } from './sent-values.ts';
import { isEqual, toText } from './schema-text.ts';

/** Receives a difference that makes some sent values unacceptable. */
export interface Report {
  /** @param problem the end of a sentence about the values: "can be null, which is not accepted" */
  breaking(problem: string): void;
  /** @param reason why it cannot be decided whether all sent values are accepted */
  undecided(reason: string): void;
}

/** Compares texts that are sent with what a schema accepts. */
export function compareStrings(sent: Alternative, accepted: JsonSchema, report: Report): void {
  compareSize(sent, accepted, { least: 'minLength', most: 'maxLength', unit: 'characters' }, report);
  const { format, pattern } = accepted;
  if (format !== undefined && !listKeyword(sent, 'format').includes(format)) {
    const formats = listKeyword<string>(sent, 'format');
    const text = formats.length > 0 ? `a text of the format ${formats.join(' and ')}` : 'any text';
    report.breaking(`can be ${text}, but only the format ${String(format)} is accepted`);
  }
  if (pattern !== undefined && !listKeyword(sent, 'pattern').includes(pattern)) {
    const patterns = [...listKeyword<string>(sent, 'pattern'), ...listKeyword<string>(sent, 'format')];
    if (patterns.length === 0)
      report.breaking(`can be any text, but only texts that match ${String(pattern)} are accepted`);
    else report.undecided(`whether ${String(pattern)} matches all that ${patterns.join(' and ')} matches`);
  }
  for (const keyword of ['contentEncoding', 'contentMediaType'])
    if (accepted[keyword] !== undefined && !listKeyword(sent, keyword).includes(accepted[keyword]))
      report.breaking(`can be without ${keyword} ${toText(accepted[keyword])}, which is required`);
}

interface Size {
  least: string;
  most: string;
  unit: string;
}

/** Compares how long texts and arrays are, or how many fields objects have. */
export function compareSize(
  sent: Alternative,
  accepted: JsonSchema,
  { least, most, unit }: Size,
  report: Report,
  [fewest, greatest]: readonly [number, number] = [0, Infinity],
): void {
  const lower = Math.max(fewest, ...listNumbers(sent, least));
  const upper = Math.min(greatest, ...listNumbers(sent, most));
  const [minimum, maximum] = [toNumber(accepted[least], 0), toNumber(accepted[most], Infinity)];
  if (minimum === undefined || maximum === undefined)
    return report.undecided(`${least} or ${most} is no number`);
  if (lower > upper) return;
  if (lower < minimum) report.breaking(`can have ${lower} ${unit}, but at least ${minimum} are required`);
  if (upper > maximum)
    report.breaking(
      `can have ${upper === Infinity ? 'any number of' : `up to ${upper}`} ${unit}, but at most ${maximum} are accepted`,
    );
}

/** @returns undefined if it is set, but no number */
const toNumber = (value: unknown, unset: number): number | undefined =>
  value === undefined ? unset : typeof value === 'number' ? value : undefined;

interface Bound {
  value: number;
  /** Whether the value itself is outside. */
  isOpen: boolean;
}

/** Compares numbers that are sent with what a schema accepts. */
export function compareNumbers(sent: Alternative, accepted: JsonSchema, report: Report): void {
  const steps = listNumbers(sent, 'multipleOf');
  const isInteger =
    sent.some(({ type }) => type === 'integer') || steps.some((step) => Number.isInteger(step));
  if (acceptsOnlyIntegers(accepted) && !isInteger)
    report.breaking('can be a fraction, but only integers are accepted');
  compareStep(steps, isInteger, accepted['multipleOf'], report);
  const bounds = findBounds(sent, isInteger, 1);
  const upper = findBounds(sent, isInteger, -1);
  if (bounds.value > -upper.value) return;
  const limits = [1, -1].map((sign) => findBounds([accepted], false, sign)) as [Bound, Bound];
  if (
    ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'].some((one) => isMalformed(accepted[one]))
  )
    return report.undecided('a limit is no number');
  if (isOutside(bounds, limits[0]))
    report.breaking(
      `can be ${formatBound(bounds, 1)}, but only numbers ${formatLimit(limits[0], 1)} are accepted`,
    );
  if (isOutside(upper, limits[1]))
    report.breaking(
      `can be ${formatBound(upper, -1)}, but only numbers ${formatLimit(limits[1], -1)} are accepted`,
    );
}

const isMalformed = (limit: unknown): boolean => limit !== undefined && typeof limit !== 'number';

/** Types without `number`. A `type` without both has been reported already. */
const acceptsOnlyIntegers = ({ type }: JsonSchema): boolean =>
  type !== undefined && [type].flat().includes('integer') && ![type].flat().includes('number');

/**
 * The lower bound of all numbers, the tightest one if there are several.
 * @param sign 1 for the lower bound; -1 for the upper bound, as the lower bound of the negative numbers
 */
function findBounds(schemas: Alternative, isInteger: boolean, sign: number): Bound {
  const [inclusive, exclusive] = sign > 0 ? ['minimum', 'exclusiveMinimum'] : ['maximum', 'exclusiveMaximum'];
  const closed = Math.max(-Infinity, ...listNumbers(schemas, inclusive!).map((one) => one * sign));
  const open = Math.max(-Infinity, ...listNumbers(schemas, exclusive!).map((one) => one * sign));
  const bound = open >= closed ? { value: open, isOpen: open > -Infinity } : { value: closed, isOpen: false };
  if (!isInteger || bound.value === -Infinity) return bound;
  // The first integer within.
  const first = Math.ceil(bound.value);
  return { value: bound.isOpen && first === bound.value ? first + 1 : first, isOpen: false };
}

const isOutside = (sent: Bound, accepted: Bound): boolean =>
  sent.value < accepted.value || (sent.value === accepted.value && accepted.isOpen && !sent.isOpen);

function formatBound({ value, isOpen }: Bound, sign: number): string {
  if (value === -Infinity) return sign > 0 ? 'any small number' : 'any large number';
  return isOpen ? `close to ${value * sign}` : String(value * sign);
}

function formatLimit({ value, isOpen }: Bound, sign: number): string {
  const word = sign > 0 ? (isOpen ? 'above' : 'from') : isOpen ? 'below' : 'up to';
  return `${word} ${value * sign}`;
}

function compareStep(steps: readonly number[], isInteger: boolean, step: unknown, report: Report): void {
  if (step === undefined || steps.some((one) => isEqual(one, step)) || (step === 1 && isInteger)) return;
  if (typeof step !== 'number') return report.undecided('multipleOf is no number');
  const known = isInteger ? [...steps, 1] : steps;
  if (known.some((one) => Number.isInteger(one) && Number.isInteger(step) && one % step === 0)) return;
  if (known.length > 0 && !known.every(Number.isInteger))
    return report.undecided(`whether multiples of ${known.join(' and ')} are multiples of ${step}`);
  report.breaking(`can be any number, but only multiples of ${step} are accepted`);
}
