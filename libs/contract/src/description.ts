import { z } from 'zod';
import { CallPolicy } from './call-policy.ts';
import {
  accesses,
  pathParameters,
  type AnyContract,
  type AnyRequest,
  type Extensions,
  type HttpBinding,
  type ServiceContract,
  type Wait,
} from './contract.ts';

/** A JSON Schema, draft 2020-12. */
export type JsonSchema = Record<string, unknown>;

const Access = z.enum(accesses);

/** A rate limit as text: so many requests in each window of time. */
export const RateLimitText = z
  .templateLiteral([z.int(), '/', z.enum(['second', 'minute', 'hour'])], 'must look like 10/minute')
  .refine((text) => Number.parseInt(text) >= 1, 'must let at least one request pass');

const RequestDescription = z.object({
  name: z.string(),
  kind: z.enum(['command', 'query']),
  description: z.string(),
  input: z.record(z.string(), z.unknown()),
  output: z.record(z.string(), z.unknown()).nullable(),
  rejections: z.record(z.string(), z.number()),
  /** JSON Schemas of extension members, by rejection code. */
  extensions: z.record(z.string(), z.record(z.string(), z.unknown())).optional(),
  subject: z.string().optional(),
  idempotency: z.enum(['required', 'optional', 'none']),
  /** Input and output are encrypted on the bus. */
  sensitive: z.boolean().optional(),
  access: Access.optional(),
  http: z
    .object({
      method: z.string(),
      path: z.string(),
      parameters: z.array(z.string()),
      status: z.number(),
      location: z.string().optional(),
      etag: z.string().optional(),
      ifMatch: z.string().optional(),
      maxAuthAge: z.number().optional(),
      document: z.boolean().optional(),
      limit: RateLimitText.optional(),
      memberLimit: RateLimitText.optional(),
      cache: z
        .object({ maxAge: z.number().positive(), staleIfError: z.number().positive().optional() })
        .optional(),
      fallback: z
        .union([z.object({ query: z.string() }), z.object({ answer: z.record(z.string(), z.unknown()) })])
        .optional(),
      wait: z
        .object({
          key: z.string(),
          until: z.array(z.object({ event: z.string(), tells: z.array(z.string()).optional() })),
          answer: z.string(),
          status: z.number(),
        })
        .optional(),
    })
    .optional(),
  pages: z.object({ path: z.string(), cookies: z.string(), limit: RateLimitText.optional() }).optional(),
  standsInFor: z.string().optional(),
});
export type RequestDescription = z.infer<typeof RequestDescription>;

const EventDescription = z.object({
  name: z.string(),
  description: z.string(),
  data: z.record(z.string(), z.unknown()),
  subject: z.string().optional(),
});
export type EventDescription = z.infer<typeof EventDescription>;

/** A service's contract as data: what an instance announces, and what documents are rendered from. */
export const ServiceDescription = z.object({
  service: z.string(),
  description: z.string(),
  /** How those who ask it go about it. */
  policy: CallPolicy.prefault({}),
  requests: z.array(RequestDescription),
  events: z.array(EventDescription),
});
export type ServiceDescription = z.infer<typeof ServiceDescription>;

/** A public key that data for a service is encrypted with: a JWK of the curve X25519 (RFC 8037). */
export const EncryptionKey = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('X25519'),
  x: z.base64url().length(43),
  /** The thumbprint of the key (RFC 7638). */
  kid: z.base64url().length(43),
});
export type EncryptionKey = z.infer<typeof EncryptionKey>;

const AnnouncementFields = z.object({
  service: z.string(),
  version: z.string(),
  instance: z.string(),
  /** `out`: it is there, and takes no work; `draining`: it is leaving, and as good as gone. */
  state: z.enum(['up', 'out', 'draining']),
  /** Base URL of its health and metrics; of all that it serves where it is an HTTP upstream. */
  url: z.string(),
  startedAt: z.iso.datetime(),
  /** Set where the instance does not listen on the bus: it is asked over HTTP, and others speak for it. */
  upstream: z.literal('http').optional(),
  /** The service whose instances speak for it: while none of them is there, nobody can tell that it is gone. */
  spokesman: z.string().optional(),
  /** Networks in which the addresses of such an instance must lie: its credential permits no others. */
  networks: z.array(z.string()).optional(),
  /** TCP ports on which its process listens. */
  ports: z.array(z.int().min(0).max(65_535)).optional(),
  /** How such an instance registered, as it said it: so that every registry can speak for it. */
  registration: z.record(z.string(), z.unknown()).optional(),
  /** Share of its time that it was busy since it last said so, from 0 to 1. */
  load: z.number().min(0).max(1).optional(),
  /** Services that it leaves alone for now, because they failed it. */
  leftAlone: z.array(z.string()).optional(),
  /** What it only simulates, in local mode. While there is any, the gateway names it in a header of every answer. */
  simulated: z
    .array(z.string().regex(/^[a-z][a-z0-9-]{0,39}$/))
    .max(8)
    .optional(),
  /** Seconds until the next one; an instance silent for three of these is gone. */
  interval: z.number(),
  /**
   * Queues that it found missing and made: what others sent to them before is gone. `ago`: milliseconds since then, by no
   * clock that can be wrong.
   */
  madeQueues: z.array(z.object({ id: z.string(), takes: z.array(z.string()), ago: z.number() })).default([]),
  /** The keys whose messages this instance can decrypt, the current one first. */
  encryptionKeys: z.array(EncryptionKey).max(10).optional(),
  contract: ServiceDescription,
});

/** Names as they may stand in routing keys, logs and documents. Services that are asked over HTTP choose more freely. */
const forms = {
  bus: { service: /^[a-z][a-z0-9-]{0,59}$/, instance: /^[\w-]{1,100}$/ },
  http: { service: /^[a-z][\w.-]{0,59}$/, instance: /^[^\s:/?#]+:[^\s/?#]+$/ },
};
const shortName = /^[A-Za-z0-9]+([.-][A-Za-z0-9]+)*$/;

/**
 * What an instance says of itself on the bus: when it comes, when something changes, and whenever the roll is called.
 * It speaks of its own service alone: contract, requests, events and instance carry its name.
 */
export const Announcement = AnnouncementFields.superRefine((said, context) => {
  const { service, instance, upstream, contract } = said;
  const must = (holds: boolean, path: string, message: string): void => {
    if (!holds) context.addIssue({ code: 'custom', path: path.split('.'), message });
  };
  const isOwn = (name: string): boolean =>
    name.startsWith(`${service}.`) && shortName.test(name.slice(service.length + 1));
  const form = forms[upstream ?? 'bus'];
  must(form.service.test(service), 'service', 'is not the name of a service');
  must(form.instance.test(instance), 'instance', 'is not the name of an instance');
  if (!upstream) must(instance.startsWith(`${service}-`), 'instance', `must begin with ${service}-`);
  must(contract.service === service, 'contract.service', `must be ${service}`);
  for (const { name, http } of contract.requests) {
    must(isOwn(name), 'contract.requests', `${name} is not a request of ${service}`);
    const waited = http?.wait ? [http.wait.answer, ...http.wait.until.map(({ event }) => event)] : [];
    for (const other of waited)
      must(isOwn(other), 'contract.requests', `${name} waits for ${other}, which is not of ${service}`);
  }
  for (const { name } of contract.events)
    must(isOwn(name), 'contract.events', `${name} is not an event of ${service}`);
});
export type Announcement = z.infer<typeof Announcement>;

/** "I am still here", every few seconds. */
export const Heartbeat = AnnouncementFields.pick({
  instance: true,
  interval: true,
  load: true,
  leftAlone: true,
});
export type Heartbeat = z.infer<typeof Heartbeat>;

/**
 * Turns a contract into plain data with JSON Schemas, ready for the wire.
 * @param contract what `service()` gave, with everything declared on it
 */
export function describe(contract: ServiceContract): ServiceDescription {
  const all = [...contract.contracts.values()];
  return {
    service: contract.name,
    description: contract.description,
    policy: contract.policy,
    requests: all.filter((one): one is AnyRequest => one.kind !== 'event').map(describeRequest),
    events: all
      .filter((one) => one.kind === 'event')
      .map((event) => ({ ...named(event), data: jsonSchema(event.input, 'output') })),
  };
}

function describeRequest(request: AnyRequest): RequestDescription {
  const output = request.output instanceof z.ZodVoid ? null : jsonSchema(request.output, 'output');
  return {
    ...named(request),
    kind: request.kind,
    input: jsonSchema(request.input, 'input'),
    output,
    rejections: request.rejections,
    ...(request.extensions && { extensions: describeExtensions(request.extensions) }),
    idempotency: request.idempotency,
    ...(request.sensitive && { sensitive: true }),
    ...(request.access && { access: request.access }),
    ...(request.http && { http: describeBinding(request.http, output ? 200 : 204) }),
    ...(request.pages && { pages: request.pages }),
    ...(request.standsInFor && { standsInFor: request.standsInFor }),
  };
}

const describeExtensions = (extensions: Extensions) =>
  Object.fromEntries(
    Object.entries(extensions).map(([code, members]) => [code, jsonSchema(members, 'output')]),
  );

function describeBinding({ route, wait, ...http }: HttpBinding, status: number) {
  const [method, path] = route.split(' ') as [string, string];
  return {
    status,
    ...http,
    method,
    path,
    parameters: pathParameters(path),
    ...(wait && { wait: describeWait(wait) }),
  };
}

function describeWait({ key, until, answer, status }: Wait) {
  const { properties = {}, required = [] } = jsonSchema(answer.output, 'output') as Fields;
  const events = until.map((event) => {
    const { required: told = [] } = jsonSchema(event.input, 'output') as Fields;
    const tellsAll = required.every((field) => told.includes(field));
    return { event: event.name, ...(tellsAll && { tells: Object.keys(properties) }) };
  });
  return { key, until: events, answer: answer.name, status };
}

interface Fields {
  properties?: Record<string, JsonSchema>;
  required?: string[];
}

function named({ name, description, subject }: AnyContract) {
  return { name, description, ...(subject && { subject }) };
}

/**
 * The JSON Schema (draft 2020-12) of a zod schema.
 * @param io `input`: before parsing, defaults may be left out; `output`: as it is after
 */
export function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
}
