import { z } from 'zod';
import { CallPolicy } from './call-policy.ts';
import {
  priorities,
  type AnyContract,
  type AnyRequest,
  type Extensions,
  type HttpBinding,
  type ServiceContract,
  type Wait,
} from './contract.ts';
import { pathParameters } from './routes.ts';
import { RoleName } from './vocabulary.ts';
import { maxContractDepth, isDeeperThan, isJsonSchema } from './json-schema.ts';

/** A JSON Schema, draft 2020-12. */
export type JsonSchema = Record<string, unknown>;
const JsonSchema = z.custom<JsonSchema>((value) => isJsonSchema(value), 'is not a JSON Schema');

/** A policy of the platform or a role: bounded, because it is shown to clients and operators. */
const Access = RoleName;

/** A rate limit as text: requests per time window. */
export const RateLimitText = z
  .templateLiteral([z.int(), '/', z.enum(['second', 'minute', 'hour'])], 'must look like 10/minute')
  .refine((text) => Number.parseInt(text) >= 1, 'must allow at least one request');

/** Only final statuses: Node cannot end a response with a status below 200. */
const Success = z.int().min(200).max(299);
const CacheSeconds = z.number().positive().max(31_536_000);

const RequestDescription = z.object({
  name: z.string(),
  kind: z.enum(['command', 'query']),
  description: z.string(),
  input: JsonSchema,
  output: JsonSchema.nullable(),
  rejections: z.record(z.string(), z.int().min(400).max(599)),
  /** JSON Schemas of extension members, by rejection code. */
  extensions: z.record(z.string(), JsonSchema).optional(),
  subject: z.string().optional(),
  idempotency: z.enum(['required', 'optional', 'none']),
  /** Input and output are encrypted on the bus. */
  sensitive: z.boolean().optional(),
  access: Access.optional(),
  priority: z.enum(priorities).optional(),
  http: z
    .object({
      method: z.string(),
      path: z.string(),
      parameters: z.array(z.string()),
      status: Success,
      location: z.string().optional(),
      etag: z.string().optional(),
      ifMatch: z.string().optional(),
      maxAuthAge: z.number().nonnegative().optional(),
      document: z.boolean().optional(),
      limit: RateLimitText.optional(),
      memberLimit: RateLimitText.optional(),
      cache: z.object({ maxAge: CacheSeconds, staleIfError: CacheSeconds.optional() }).optional(),
      fallback: z
        .union([z.object({ query: z.string() }), z.object({ answer: z.record(z.string(), z.unknown()) })])
        .optional(),
      wait: z
        .object({
          key: z.string(),
          until: z.array(z.object({ event: z.string(), tells: z.array(z.string()).optional() })),
          answer: z.string(),
          status: Success,
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
  data: JsonSchema,
  subject: z.string().optional(),
});
export type EventDescription = z.infer<typeof EventDescription>;

/** A service's contract as data: what an instance announces, and what documents are rendered from. */
export const ServiceDescription = z.object({
  service: z.string(),
  description: z.string(),
  /** How callers call the service. */
  policy: CallPolicy.prefault({}),
  requests: z.array(RequestDescription),
  events: z.array(EventDescription),
});
export type ServiceDescription = z.infer<typeof ServiceDescription>;

/** A public key that encrypts data for a service: a JWK of the curve X25519 (RFC 8037). */
export const EncryptionKey = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('X25519'),
  x: z.base64url().length(43),
  /** The thumbprint of the key (RFC 7638). */
  kid: z.base64url().length(43),
});
export type EncryptionKey = z.infer<typeof EncryptionKey>;

/** Maximum number of queues in an announcement; an instance that recreated more announces the latest ones. */
export const maxMadeQueues = 16;
/** Maximum seconds between announcements of an instance on the bus. The lease of an HTTP upstream may be longer. */
export const maxAnnounceInterval = 60;

const AnnouncementFields = z.object({
  service: z.string(),
  /** Without control characters, because operators see it in terminals. */
  version: z.string().regex(/^[^\p{Cc}\p{Cf}]{1,200}$/u),
  instance: z.string().max(300),
  /** `out`: present, but takes no work; `draining`: shutting down, treated as gone. */
  state: z.enum(['up', 'out', 'draining']),
  /** Base URL of its health and metrics endpoints; for an HTTP upstream, of everything it serves. */
  url: z.url({ protocol: /^https?$/ }).max(300),
  startedAt: z.iso.datetime(),
  /** Set if the instance does not listen on the bus: it is called over HTTP, and a registry announces it. */
  upstream: z.literal('http').optional(),
  /** The service that announces it. While that service has no instances, missing heartbeats do not mean that it is gone. */
  registrationProxy: z.string().optional(),
  /** Networks that must contain the addresses of such an instance: its credential permits no others. */
  networks: z.array(z.string()).optional(),
  /** TCP ports on which its process listens. */
  ports: z.array(z.int().min(0).max(65_535)).max(64).optional(),
  /** The original registration of such an instance, so that every registry can announce it. */
  registration: z.record(z.string(), z.unknown()).optional(),
  /** Share of time that it was busy since the last report, from 0 to 1. */
  load: z.number().min(0).max(1).optional(),
  /** Services with an open circuit: it does not call them for now. */
  openCircuits: z.array(z.string().max(100)).max(200).optional(),
  /** Parts that it simulates in local mode. If there are any, the gateway lists them in a header of every response. */
  simulated: z
    .array(z.string().regex(/^[a-z][a-z0-9-]{0,39}$/))
    .max(8)
    .optional(),
  /** Seconds until the next announcement; an instance that is silent for three intervals is gone. */
  interval: z.number().min(0.1).max(4_000),
  /**
   * Queues that it found missing and recreated: earlier messages to them are lost. `ago`: milliseconds since then, by a
   * monotonic clock.
   */
  madeQueues: z
    .array(
      z.object({
        id: z.string().max(20),
        takes: z.array(z.string().max(200)).max(1_000),
        ago: z.number().nonnegative(),
      }),
    )
    .max(maxMadeQueues)
    .default([]),
  /** The keys whose messages this instance can decrypt, the current one first. */
  encryptionKeys: z.array(EncryptionKey).max(10).optional(),
  contract: ServiceDescription,
});

/**
 * Valid names in routing keys, logs and documents. Wider than `service()` permits: services that are written without this
 * library announce themselves too, and outside services even more freely.
 */
const namePatterns = {
  bus: { service: /^[a-z][a-z0-9-]{0,59}$/, instance: /^[\w-]{1,100}$/ },
  http: { service: /^[a-z][\w.-]{0,59}$/, instance: /^[^\s:/?#]+:[^\s/?#]+$/ },
};
const shortName = /^[A-Za-z0-9]+([.-][A-Za-z0-9]+)*$/;

/**
 * The announcement of an instance on the bus: at start-up, on changes, and in reply to a roll call.
 * It covers its own service only: contract, requests, events and instance carry its name.
 */
export const Announcement = AnnouncementFields.superRefine((announcement, context) => {
  const { service, instance, upstream, contract } = announcement;
  const must = (holds: boolean, path: string, message: string): void => {
    if (!holds) context.addIssue({ code: 'custom', path: path.split('.'), message });
  };
  const isOwn = (name: string): boolean =>
    name.startsWith(`${service}.`) && shortName.test(name.slice(service.length + 1));
  const patterns = namePatterns[upstream ?? 'bus'];
  must(patterns.service.test(service), 'service', 'is not a valid service name');
  must(patterns.instance.test(instance), 'instance', 'is not a valid instance name');
  must(!isDeeperThan(maxContractDepth, announcement), 'contract', 'is nested too deeply');
  if (!upstream) {
    // A service `a` must not be able to announce an instance of a service `a-b`.
    const isOwnInstance =
      instance.startsWith(`${service}-`) && /^\w+$/.test(instance.slice(service.length + 1));
    must(isOwnInstance, 'instance', `must be ${service}- followed by letters or digits`);
    must(announcement.interval <= maxAnnounceInterval, 'interval', `must be at most ${maxAnnounceInterval}`);
  }
  must(contract.service === service, 'contract.service', `must be ${service}`);
  for (const { name, http } of contract.requests) {
    must(isOwn(name), 'contract.requests', `${name} is not a request of ${service}`);
    const waited = http?.wait ? [http.wait.answer, ...http.wait.until.map(({ event }) => event)] : [];
    for (const other of waited)
      must(
        isOwn(other),
        'contract.requests',
        `${name} waits for ${other}, which does not belong to ${service}`,
      );
  }
  for (const { name } of contract.events)
    must(isOwn(name), 'contract.events', `${name} is not an event of ${service}`);
});
export type Announcement = z.infer<typeof Announcement>;

/** Sent every few seconds while the instance runs. */
export const Heartbeat = AnnouncementFields.pick({
  instance: true,
  interval: true,
  load: true,
  openCircuits: true,
});
export type Heartbeat = z.infer<typeof Heartbeat>;

/**
 * Converts a contract to plain data with JSON Schemas, ready to send.
 * @param contract the result of `service()`, with all its declarations
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
      .map((event) => ({ ...describeCommon(event), data: jsonSchema(event.input, 'output') })),
  };
}

function describeRequest(request: AnyRequest): RequestDescription {
  const output = request.output instanceof z.ZodVoid ? null : jsonSchema(request.output, 'output');
  return {
    ...describeCommon(request),
    kind: request.kind,
    input: jsonSchema(request.input, 'input'),
    output,
    rejections: request.rejections,
    ...(request.extensions && { extensions: describeExtensions(request.extensions) }),
    idempotency: request.idempotency,
    ...(request.sensitive && { sensitive: true }),
    ...(request.access && { access: request.access }),
    ...(request.priority && { priority: request.priority }),
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
    const { required: present = [] } = jsonSchema(event.input, 'output') as Fields;
    const hasAll = required.every((field) => present.includes(field));
    return { event: event.name, ...(hasAll && { tells: Object.keys(properties) }) };
  });
  return { key, until: events, answer: answer.name, status };
}

interface Fields {
  properties?: Record<string, JsonSchema>;
  required?: string[];
}

function describeCommon({ name, description, subject }: AnyContract) {
  return { name, description, ...(subject && { subject }) };
}

/**
 * Converts a zod schema to a JSON Schema (draft 2020-12).
 * @param io `input`: before parsing, fields with defaults are optional; `output`: after parsing
 */
export function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
}
