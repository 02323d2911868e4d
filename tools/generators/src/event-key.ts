import type { AnyEvent } from '@jogakbo/contract';
import { createExample } from './example.ts';
import { GeneratorError } from './generator-error.ts';

/** What generated code needs to know about an event. */
export interface EventFacts {
  /** The field that identifies what the event is about. */
  key: string;
  /** Whether the key is a UUID. */
  isUuid: boolean;
  /** An example of its data. */
  example: Record<string, unknown>;
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * @param wanted the field to use as key; by default the subject of the event, else its only id
 * @throws GeneratorError with the fields that can be the key
 */
export function readEventFacts({ name, input, subject }: AnyEvent, wanted?: string): EventFacts {
  const example = createExample(input) as Record<string, unknown> | undefined;
  if (example === undefined || typeof example !== 'object')
    throw new GeneratorError(
      `No example of ${name} could be made for the test.`,
      'Give its schema one: .meta({ examples: […] }).',
    );
  const fields = Object.entries(example).flatMap(([field, value]) =>
    typeof value === 'string' ? [field] : [],
  );
  const ids = fields.filter((field) => uuid.test(String(example[field])));
  const key = wanted ?? subject ?? (ids.length === 1 ? ids[0] : undefined);
  if (key === undefined || !fields.includes(key))
    throw new GeneratorError(
      wanted ? `${name} has no text field "${wanted}".` : `${name} has no subject: which field is the key?`,
      fields.length > 0 ? `Choose one with --key: ${fields.join(', ')}.` : 'It has no required text field.',
    );
  return { key, isUuid: ids.includes(key), example };
}

/** The example as TypeScript, with a constant of the name of the key in place of its value. */
function formatExample({ key, example }: EventFacts): string {
  const { [key]: _key, ...others } = example;
  const fields = Object.entries(others).map(
    ([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`,
  );
  return `{ ${[key, ...fields].join(', ')} }`;
}

/** What templates use of an event's data. */
export const toKeySubstitutions = (facts: EventFacts): Record<string, unknown> => ({
  key: facts.key,
  keyExample: facts.example[facts.key],
  example: formatExample(facts),
});
