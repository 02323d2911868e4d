import { z } from 'zod';
import { withoutAnnotations } from './compatibility/schema-text.ts';
import type { AnyContract, AnyEvent, AnyRequest } from './contract.ts';
import { jsonSchema } from './description.ts';
import type { UseDescription } from './uses.ts';

/** What a service uses of others. */
export interface Uses {
  /** The requests that it sends. */
  calls: readonly AnyRequest[];
  /** The events that it receives. */
  receives: readonly AnyEvent[];
  /** The events of other services that it publishes for them. */
  publishes: readonly AnyEvent[];
}

/** Describes what a service uses of others as plain data, ordered by name. Without descriptions, to keep it small. */
export function describeUses({ calls, receives, publishes }: Uses): UseDescription[] {
  const all = [
    ...distinct(calls).map(describeCall),
    ...distinct(receives).map((one) => ({ ...describeName(one), receives: toSchema(one.input) })),
    ...distinct(publishes).map((one) => ({ ...describeName(one), sends: toSchema(one.input) })),
  ];
  return all.sort((a, b) => (a.name < b.name ? -1 : 1));
}

const distinct = <C extends AnyContract>(contracts: readonly C[]): C[] => [
  ...new Map(contracts.map((one) => [one.name, one])).values(),
];

const describeName = ({ name, kind }: AnyContract): UseDescription => ({ name, kind });

const describeCall = (request: AnyRequest): UseDescription => ({
  ...describeName(request),
  sends: toSchema(request.input),
  receives: request.output instanceof z.ZodVoid ? null : toSchema(request.output),
  rejections: Object.keys(request.rejections).sort(),
  ...(request.sensitive && { sensitive: true }),
});

/** Before parsing: what a caller passes, and what a reader accepts. */
const toSchema = (schema: z.ZodType) => withoutAnnotations(jsonSchema(schema, 'input'));
