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
import { JsonSchema } from './json-schema.ts';
import { pathParameters } from './routes.ts';
import { MigrationDescription, UseDescription } from './uses.ts';
import { RoleName } from './vocabulary.ts';

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
  /** What this version uses of other services; absent if it does not list that. */
  uses: z.array(UseDescription).max(1_000).optional(),
  /** The migrations of its database, in their order. */
  migrations: z.array(MigrationDescription).max(10_000).optional(),
});
export type ServiceDescription = z.infer<typeof ServiceDescription>;

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
