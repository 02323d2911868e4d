import type { ServiceDescription } from '../description.ts';
import type { UseDescription } from '../uses.ts';
import { compareSchemas, type SchemaComparison, type SchemaProblem } from './compare-schemas.ts';
import { compareSensitivity } from './compare-sensitivity.ts';
import type { JsonSchema } from '../json-schema.ts';

/** A difference between two versions that breaks one of them. */
export interface Incompatibility {
  /** The request or event: `library.lend-book`. */
  name: string;
  kind: 'command' | 'query' | 'event';
  /** The part of it: `input`, `output`, `data`, `rejections`, `http`, … */
  part: string;
  /** The field of an input, output or event: names joined with `.`, `*` for any item; else empty. */
  path: string;
  /** A sentence without its subject, the field or the part. */
  problem: string;
  /** Set if it is unknown whether this breaks something: it counts as breaking. */
  isUndecided?: true;
}

/** The output of a request without output: null on the wire. */
const noOutput: JsonSchema = { type: 'null' };

/**
 * Finds what breaks a version that uses another service.
 * @param use what it sends and receives @param provider the service that the request or event belongs to
 * @param reading how it reads what it receives
 */
export function compareUse(
  use: UseDescription,
  provider: ServiceDescription,
  reading: SchemaComparison = { keepsFields: true },
): Incompatibility[] {
  const { name, kind } = use;
  const at = (part: string, problems: readonly SchemaProblem[]): Incompatibility[] =>
    problems.map((one) => ({ name, kind, part, ...one }));
  if (kind === 'event') {
    const event = provider.events.find((one) => one.name === name);
    if (!use.receives) return [];
    if (!event) return at(kind, [{ path: '', problem: 'does not exist' }]);
    return [
      ...at('data', compareSchemas(event.data, use.receives, reading)),
      ...at('data', compareSensitivity(event.data, use.receives)),
    ];
  }
  const request = provider.requests.find((one) => one.name === name);
  if (!request) return at(kind, [{ path: '', problem: 'does not exist' }]);
  if (request.kind !== kind) return at(kind, [{ path: '', problem: `is a ${request.kind}, not a ${kind}` }]);
  const { sends = {}, receives, rejections } = use;
  const unknown = Object.keys(request.rejections).filter((code) => rejections && !rejections.includes(code));
  return [
    ...at('input', compareSchemas(sends, request.input)),
    ...at('output', compareSchemas(request.output ?? noOutput, receives ?? noOutput, reading)),
    ...at(
      'rejections',
      unknown.map((code) => ({ path: '', problem: describeNewRejection(code) })),
    ),
    ...at('sensitive', use.sensitive && !request.sensitive ? [noLongerSensitive] : []),
  ];
}

/**
 * Finds what breaks a version that receives an event of a third service: one that other services publish.
 * @param use what it receives @param publisher the uses of a version that may publish it
 */
export function compareForeignEvent(
  { name, kind, receives }: UseDescription,
  publisher: readonly UseDescription[],
): Incompatibility[] {
  if (!receives) return [];
  const sent = publisher.find((one) => one.name === name && one.sends !== undefined && one.kind === 'event');
  const problems = sent?.sends ? compareSchemas(sent.sends, receives, { keepsFields: true }) : [];
  return problems.map((one) => ({ name, kind, part: 'data', ...one }));
}

/** What a version may use of another one of which only the contract is known: everything. */
export const listPossibleUses = ({ requests, events }: ServiceDescription): UseDescription[] => [
  ...requests.map(({ name, kind, input, output, rejections, sensitive }) => ({
    ...{ name, kind, sends: input, receives: output, rejections: Object.keys(rejections) },
    ...(sensitive && { sensitive }),
  })),
  ...events.map(({ name, data }) => ({ name, kind: 'event' as const, receives: data })),
];

export const describeNewRejection = (code: string): string =>
  `have the new code ${code}, which callers do not know`;

export const noLongerSensitive: SchemaProblem = {
  path: '',
  problem: 'is no longer set, so that input and output are stored and logged in clear',
};
