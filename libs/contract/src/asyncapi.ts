import type { EventDescription, RequestDescription, ServiceDescription } from './description.ts';
import type { JsonSchema } from './json-schema.ts';
import {
  describeAnswerMessage,
  describeEventMessage,
  describeRequestMessage,
  faultSchema,
  headersSchema,
} from './asyncapi-messages.ts';
import { liftDefinitions } from './lift-definitions.ts';
import { addTitles, typeName } from './schema-titles.ts';

export interface AsyncApiOptions {
  title: string;
  version: string;
  description: string;
  license: { name: string; url?: string };
}

const bindingVersion = '0.3.0';

/** Sections of a document, by name. */
interface Sections {
  channels: Record<string, JsonSchema>;
  operations: Record<string, JsonSchema>;
  /** Messages of the channel `replies`. */
  answers: Record<string, JsonSchema>;
  /** Schemas that others refer to. */
  definitions: Record<string, JsonSchema>;
}

/**
 * Renders an AsyncAPI 3.0 document from announced contracts: the messages on the broker, their format, and which service
 * sends or receives them. A channel is a routing key. Replies go to the reply queue of the caller.
 * @param services announced contracts
 */
export function renderAsyncApi(
  services: readonly ServiceDescription[],
  options: AsyncApiOptions,
): JsonSchema {
  const sections: Sections = { channels: {}, operations: {}, answers: {}, definitions: {} };
  const active = services.filter(({ requests, events }) => requests.length + events.length > 0);
  for (const { service, requests, events } of active) {
    for (const request of requests) addRequest(sections, service, request);
    for (const event of events) addEvent(sections, service, event);
  }
  const { channels, operations, answers, definitions } = sections;
  if (Object.keys(answers).length > 0) channels['replies'] = describeReplies(answers);
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

/** Adds a request with its answer. */
function addRequest(sections: Sections, service: string, announced: RequestDescription): void {
  const { channels, operations, answers, definitions } = sections;
  const { name, description, kind, input, output } = announced;
  const request = {
    ...announced,
    input: liftDefinitions(input, name, definitions),
    output: output && liftDefinitions(output, `${name}.answer`, definitions),
  };
  channels[name] = describeChannel(name, `requests.${service}`, describeRequestMessage(request));
  answers[name] = describeAnswerMessage(request);
  operations[name] = {
    action: 'receive',
    title: name,
    summary: description || name,
    description: `${toSentence(announced)}${service} receives this request and replies to the address in \`reply-to\`.`,
    tags: [{ name: service }, { name: kind }],
    channel: { $ref: `#/channels/${name}` },
    messages: [{ $ref: `#/channels/${name}/messages/${name}` }],
    reply: {
      address: { location: '$message.header#/reply-to', description: 'The AMQP property reply-to.' },
      channel: { $ref: '#/channels/replies' },
      messages: [{ $ref: `#/channels/replies/messages/${name}` }],
    },
  };
}

function addEvent(sections: Sections, service: string, announced: EventDescription): void {
  const { name, description } = announced;
  const event = { ...announced, data: liftDefinitions(announced.data, name, sections.definitions) };
  sections.channels[name] = describeChannel(name, `events.${service}`, describeEventMessage(service, event));
  sections.operations[name] = {
    action: 'send',
    title: name,
    summary: description || name,
    description: `${toSentence(announced)}${service} publishes this event at least once, always with the same id.`,
    tags: [{ name: service }, { name: 'event' }],
    channel: { $ref: `#/channels/${name}` },
    messages: [{ $ref: `#/channels/${name}/messages/${name}` }],
  };
}

/** The channel of all answers. */
function describeReplies(answers: Record<string, JsonSchema>): JsonSchema {
  return {
    address: null,
    description:
      'Replies, with the routing key from `reply-to`. Each calling login has its own exchange: `replies.<login>`.',
    messages: answers,
    bindings: describeBindings('replies.<login>'),
  };
}

/** The description as a sentence that more text can follow. */
const toSentence = ({ description }: { description: string }): string =>
  description && `${description.replace(/\.?$/, '.')} `;

function describeChannel(address: string, exchange: string, message: JsonSchema): JsonSchema {
  return { address, messages: { [address]: message }, bindings: describeBindings(exchange) };
}

function describeBindings(name: string): JsonSchema {
  const exchange = { name, type: 'topic', durable: true, autoDelete: false };
  return { amqp: { is: 'routingKey', exchange, bindingVersion } };
}
