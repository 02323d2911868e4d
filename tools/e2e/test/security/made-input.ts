import {
  generateRecord,
  generateValue,
  type GenerationOptions,
  type KnownValues,
} from '@jogakbo/testing/generated-values';
import fc from 'fast-check';
import { type Operation } from './api-document.ts';

/** Content of a request, without its sender. */
export interface Input {
  path: Record<string, unknown>;
  query: Record<string, unknown>;
  headers: Record<string, string>;
  body: unknown;
}

/** Generates input that is valid according to the document. */
export function generateInput(operation: Operation, options: GenerationOptions): fc.Arbitrary<Input> {
  const generateParameters = (where: 'path' | 'query' | 'header') =>
    generateRecord(
      operation.parameters.filter((one) => one.in === where),
      options,
    );
  return fc.record({
    path: generateParameters('path'),
    query: generateParameters('query'),
    headers: generateParameters('header') as fc.Arbitrary<Record<string, string>>,
    body: operation.body ? generateValue(operation.body, options) : fc.constant(undefined),
  });
}

/** Deterministic input with the required fields and known values. */
export const generatePlainInput = (operation: Operation, known: KnownValues): Input =>
  fc.sample(generateInput(operation, { known, plain: true }), { seed: 1, numRuns: 1 })[0]!;

export function buildPath({ path }: Operation, input: Pick<Input, 'path' | 'query'>): string {
  const query = new URLSearchParams(
    Object.entries(input.query).flatMap(([name, value]) =>
      [value].flat().map((one) => [name, String(one)] as [string, string]),
    ),
  ).toString();
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(String(input.path[name])),
  );
  return query ? `${filled}?${query}` : filled;
}
