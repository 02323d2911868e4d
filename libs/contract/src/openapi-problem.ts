import type { JsonSchema } from './json-schema.ts';

export const problemSchema: JsonSchema = {
  type: 'object',
  description: 'An error (RFC 9457).',
  required: ['type', 'title', 'status', 'code', 'traceId'],
  properties: {
    type: { type: 'string', format: 'uri-reference', description: 'Always the same for a code.' },
    title: { type: 'string', description: 'Always the same for a code.' },
    status: { type: 'integer', minimum: 400, maximum: 599 },
    code: { type: 'string', description: 'Stable identifier, for programs.' },
    detail: { type: 'string', description: 'Explanation of this occurrence, for people.' },
    traceId: {
      type: 'string',
      pattern: '^[0-9a-f]{32}$',
      description: 'The trace id of the request, also in the logs.',
    },
    errors: {
      type: 'array',
      description: 'The invalid fields.',
      items: {
        type: 'object',
        required: ['path', 'message'],
        properties: {
          path: { type: 'string', description: '`lines.0.quantity`, or the name of a header.' },
          message: { type: 'string' },
        },
      },
    },
  },
};

/** @param extensions schemas of the extension members of the problem */
export function describeProblem(description: string, extensions: Record<string, JsonSchema> = {}) {
  const properties = problemSchema['properties'] as Record<string, JsonSchema>;
  const schema =
    Object.keys(extensions).length > 0
      ? { ...problemSchema, properties: { ...extensions, ...properties } }
      : { $ref: '#/components/schemas/Problem' };
  return { description, content: { 'application/problem+json': { schema } } };
}
