import type { JsonSchema } from './description.ts';

export const problemSchema: JsonSchema = {
  type: 'object',
  description: 'An error (RFC 9457).',
  required: ['type', 'title', 'status', 'code', 'traceId'],
  properties: {
    type: { type: 'string', format: 'uri-reference', description: 'Stable for a code.' },
    title: { type: 'string', description: 'Stable for a code.' },
    status: { type: 'integer', minimum: 400, maximum: 599 },
    code: { type: 'string', description: 'Stable: for programs.' },
    detail: { type: 'string', description: 'About this one request: for people.' },
    traceId: { type: 'string', pattern: '^[0-9a-f]{32}$', description: 'Leads to the trace and the logs.' },
    errors: {
      type: 'array',
      description: 'The fields that are wrong.',
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

/** @param extensions schemas of members that the problem may have beside the standard ones */
export function problemResponse(description: string, extensions: Record<string, JsonSchema> = {}) {
  const properties = problemSchema['properties'] as Record<string, JsonSchema>;
  const schema =
    Object.keys(extensions).length > 0
      ? { ...problemSchema, properties: { ...extensions, ...properties } }
      : { $ref: '#/components/schemas/Problem' };
  return { description, content: { 'application/problem+json': { schema } } };
}
