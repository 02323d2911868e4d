import type { EventDescription, RequestDescription } from './description.ts';
import type { JsonSchema } from './json-schema.ts';
import { addTitles, typeName } from './schema-titles.ts';

/** Nest's packet format, so that a stock Nest peer can call and be called. */
export function describeRequestMessage({
  name,
  description,
  input,
  sensitive,
}: RequestDescription): JsonSchema {
  return {
    name,
    title: description || name,
    contentType: 'application/json',
    headers: { $ref: '#/components/schemas/headers' },
    correlationId: { location: '$message.header#/correlation-id' },
    payload: describePacket(typeName(name, 'request'), {
      pattern: { const: name },
      data: sensitive ? describeEncrypted(input) : input,
      ...(sensitive && { datacontenttype: { const: jose } }),
      id: { type: 'string', description: 'Present if the caller waits for the reply, which repeats it.' },
    }),
  };
}

/** The answer to a request in Nest's packet format: the output, or a rejection or fault. */
export function describeAnswerMessage({ name, output, sensitive }: RequestDescription): JsonSchema {
  const response = output ?? { type: 'null' };
  return {
    name: `${name} answered`,
    title: `Reply to ${name}`,
    contentType: 'application/json',
    correlationId: { location: '$message.header#/correlation-id' },
    payload: {
      title: typeName(name, 'reply'),
      oneOf: [
        describePacket(typeName(name, 'answer'), {
          id: { type: 'string' },
          response: sensitive ? describeEncrypted(response) : response,
          ...(sensitive && { datacontenttype: { const: jose } }),
          isDisposed: { const: true },
        }),
        describePacket(typeName(name, 'failure'), {
          id: { type: 'string' },
          err: { $ref: '#/components/schemas/fault' },
          isDisposed: { const: true },
        }),
      ],
    },
  };
}

/** A CloudEvent in binary mode: its attributes are headers, and the body is Nest's packet. */
export function describeEventMessage(
  service: string,
  { name, description, data }: EventDescription,
): JsonSchema {
  const attributes = {
    specversion: { const: '1.0' },
    id: { type: 'string' },
    source: { const: `/${service}` },
    type: { const: name },
    time: { type: 'string', format: 'date-time' },
  };
  const prefixed = (names: object) =>
    Object.fromEntries(Object.entries(names).map(([key, schema]) => [`cloudEvents:${key}`, schema]));
  return {
    name,
    title: description || name,
    contentType: 'application/json',
    headers: {
      title: typeName(name, 'headers'),
      allOf: [
        { $ref: '#/components/schemas/headers' },
        {
          title: typeName(name, 'attributes'),
          type: 'object',
          required: Object.keys(prefixed(attributes)),
          properties: prefixed({ ...attributes, subject: { type: 'string' } }),
        },
      ],
    },
    payload: describePacket(typeName(name, 'event'), { pattern: { const: name }, data }),
  };
}

const jose = 'application/jose';

/** JSON as a compact JWE (RFC 7516): ECDH-ES (X25519) and A256GCM. */
const describeEncrypted = (schema: JsonSchema): JsonSchema => ({
  type: 'string',
  contentMediaType: jose,
  contentSchema: schema,
});

function describePacket(title: string, properties: Record<string, JsonSchema>): JsonSchema {
  const required = Object.keys(properties).filter((name) => name !== 'id');
  return addTitles({ type: 'object', required, properties }, title);
}

/** Headers of every message. */
export const headersSchema: JsonSchema = {
  type: 'object',
  properties: {
    traceparent: { type: 'string', description: 'W3C Trace Context.' },
    tracestate: { type: 'string', description: 'W3C Trace Context, as the caller sent it.' },
    language: {
      type: 'string',
      description: 'The language that the client prefers (BCP 47); `und` if there is no client.',
    },
    deadline: {
      type: 'integer',
      description: 'Unix time in milliseconds after which the caller no longer waits.',
    },
    caller: { type: 'string', description: 'The member on whose behalf the message is sent, as JSON.' },
    'idempotency-key': { type: 'string' },
    'reply-key': {
      type: 'string',
      description: 'With an encrypted request: the public key (JWK, X25519) that encrypts the reply.',
    },
  },
};

/** The error in an answer. */
export const faultSchema: JsonSchema = {
  type: 'object',
  description: 'An expected business error (rejection) or a failure (fault).',
  required: ['kind', 'code', 'message'],
  properties: {
    kind: { enum: ['rejection', 'fault'] },
    code: { type: 'string' },
    message: { type: 'string' },
    status: { type: 'integer' },
    errors: {
      type: 'array',
      items: { type: 'object', properties: { path: { type: 'string' }, message: { type: 'string' } } },
    },
  },
};
