import type { JsonSchema, RequestDescription, ServiceDescription } from './description.ts';
import { liftDefinitions } from './lift-definitions.ts';
import { addTitles, typeName } from './schema-titles.ts';

export interface AsyncApiOptions {
  title: string;
  version: string;
  description: string;
  license: { name: string; url?: string };
}

const bindingVersion = '0.3.0';

/**
 * Renders an AsyncAPI 3.0 document from announced contracts: the messages on the broker, their format, and which service
 * sends or receives them. A channel is a routing key. Replies go to the reply queue of the caller.
 * @param services announced contracts
 */
export function renderAsyncApi(
  services: readonly ServiceDescription[],
  options: AsyncApiOptions,
): JsonSchema {
  const channels: Record<string, JsonSchema> = {};
  const operations: Record<string, JsonSchema> = {};
  const answers: Record<string, JsonSchema> = {};
  const definitions: Record<string, JsonSchema> = {};
  const lift = (schema: JsonSchema, owner: string) => liftDefinitions(schema, owner, definitions);
  const active = services.filter(({ requests, events }) => requests.length + events.length > 0);

  for (const { service, requests, events } of active) {
    for (const announced of requests) {
      const { name, input, output } = announced;
      const request = {
        ...announced,
        input: lift(input, name),
        output: output && lift(output, `${name}.answer`),
      };
      channels[request.name] = describeChannel(
        request.name,
        `requests.${service}`,
        'topic',
        describeRequestMessage(request),
      );
      answers[request.name] = describeAnswerMessage(request);
      operations[request.name] = {
        action: 'receive',
        title: request.name,
        summary: request.description || request.name,
        description: `${toSentence(request)}${service} receives this request and replies to the address in \`reply-to\`.`,
        tags: [{ name: service }, { name: request.kind }],
        channel: { $ref: `#/channels/${request.name}` },
        messages: [{ $ref: `#/channels/${request.name}/messages/${request.name}` }],
        reply: {
          address: { location: '$message.header#/reply-to', description: 'The AMQP property reply-to.' },
          channel: { $ref: '#/channels/replies' },
          messages: [{ $ref: `#/channels/replies/messages/${request.name}` }],
        },
      };
    }
    for (const event of events) {
      channels[event.name] = describeChannel(
        event.name,
        `events.${service}`,
        'topic',
        describeEventMessage(service, { ...event, data: lift(event.data, event.name) }),
      );
      operations[event.name] = {
        action: 'send',
        title: event.name,
        summary: event.description || event.name,
        description: `${toSentence(event)}${service} publishes this event at least once, always with the same id.`,
        tags: [{ name: service }, { name: 'event' }],
        channel: { $ref: `#/channels/${event.name}` },
        messages: [{ $ref: `#/channels/${event.name}/messages/${event.name}` }],
      };
    }
  }
  if (Object.keys(answers).length > 0) {
    channels['replies'] = {
      address: null,
      description:
        'Replies, with the routing key from `reply-to`. Each calling login has its own exchange: `replies.<login>`.',
      messages: answers,
      bindings: {
        amqp: { is: 'routingKey', exchange: describeExchange('replies.<login>', 'topic'), bindingVersion },
      },
    };
  }
  return {
    asyncapi: '3.0.0',
    info: {
      ...options,
      tags: active.map(({ service, description }) => ({
        name: service,
        description: description || service,
      })),
    },
    defaultContentType: 'application/json',
    servers: {
      rabbitmq: { host: 'rabbitmq', protocol: 'amqp', description: 'The event bus: RabbitMQ, AMQP 0-9-1.' },
    },
    channels,
    operations,
    components: {
      schemas: {
        headers: addTitles(headersSchema, 'MessageHeaders'),
        fault: addTitles(faultSchema, 'Fault'),
        ...Object.fromEntries(
          Object.entries(definitions).map(([name, one]) => [name, addTitles(one, typeName(name))]),
        ),
      },
    },
  };
}

/** The description as a sentence that more text can follow. */
const toSentence = ({ description }: { description: string }): string =>
  description && `${description.replace(/\.?$/, '.')} `;

const describeExchange = (name: string, type: string) => ({ name, type, durable: true, autoDelete: false });

function describeChannel(
  address: string,
  exchangeName: string,
  type: string,
  message: JsonSchema,
): JsonSchema {
  return {
    address,
    messages: { [address]: message },
    bindings: { amqp: { is: 'routingKey', exchange: describeExchange(exchangeName, type), bindingVersion } },
  };
}

/** Nest's packet format, so that a stock Nest peer can call and be called. */
function describeRequestMessage({ name, description, input, sensitive }: RequestDescription): JsonSchema {
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

function describeAnswerMessage({ name, output, sensitive }: RequestDescription): JsonSchema {
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
function describeEventMessage(
  service: string,
  { name, description, data }: ServiceDescription['events'][number],
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

const headersSchema: JsonSchema = {
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

const faultSchema: JsonSchema = {
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
