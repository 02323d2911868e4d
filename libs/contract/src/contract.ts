import { z } from 'zod';
import { CallPolicy } from './call-policy.ts';
import { assertPages, PageAnswer, PageRequest, type Pages } from './pages.ts';
import { Rejection, type FieldError } from './rejection.ts';
import { findSensitiveFields, hasSensitiveField } from './sensitive.ts';

/**
 * Who may use a request over HTTP. Without a signed-in member, the answer of a `public` query depends only on its input
 * and language. `owner` is the member who owns the resource. Only the service can check ownership: a handler of an `owner`
 * contract that answers without this check is a fault.
 */
export type Access = (typeof accesses)[number];
export const accesses = ['public', 'member', 'owner', 'merchant', 'operator'] as const;

/** `required` and `optional` refer to the HTTP header Idempotency-Key; with `none`, no answer is stored. */
export type Idempotency = 'required' | 'optional' | 'none';

/** How a request is reached over HTTP. Path parameters, query and body together are the input. */
export interface HttpBinding {
  /** `METHOD /path/{parameter}`; every parameter is a field of the input. */
  route: `${'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'} /${string}`;
  /** Status of success; by default 200, or 204 where there is no output. */
  status?: number;
  /** Path of the created resource, filled from the output: becomes the Location header. */
  location?: `/${string}`;
  /** Output field with the version of the representation: becomes the ETag. */
  etag?: string;
  /** Input field (a `VersionCondition`) that the If-Match header fills; the header is then required. */
  ifMatch?: string;
  /** The outcome that `Prefer: wait=N` waits for. */
  wait?: Wait;
  /** Maximum seconds since the member signed in, for dangerous operations. Otherwise `step-up-required`. */
  maxAuthAge?: number;
  /** True for a route whose output is the whole document of another standard (JWKS, OpenID discovery). */
  document?: boolean;
  /** Rate limit of this route per address and per member. */
  limit?: RateLimit;
  /** Rate limit per member, if lower than `limit`: many members can share one address. */
  memberLimit?: RateLimit;
  /** For a public read with the same answer for all callers: how long the answer may be reused. */
  cache?: Cache;
  /** Answers a public read while its service does not. */
  fallback?: Fallback;
}

/** Requests per time window: `10/minute`. */
export type RateLimit = `${number}/${'second' | 'minute' | 'hour'}`;

/**
 * In seconds. `maxAge`: how long an answer is fresh. `staleIfError`: how much longer it may be used while the service does
 * not answer (RFC 5861); the header Cache-Status marks it as stale.
 */
export interface Cache {
  maxAge: number;
  staleIfError?: number;
}

/**
 * The full name of a query of another service, with the same shape and this query in its `standsInFor`; or one fixed
 * answer.
 */
export type Fallback = { query: string } | { answer: Record<string, unknown> };

/**
 * After the reply: waits until one of `until` is announced with the same `key`, then answers with `status` and the output
 * of `answer`. If the event has every required field of that output, the event is used and the query is not sent.
 */
export interface Wait {
  key: string;
  until: readonly AnyEvent[];
  answer: AnyQuery;
  status: number;
}

/** Extension members of problems, by rejection code. */
export type Extensions = Readonly<Record<string, z.ZodObject>>;

/** A message to send: a contract and data of its type. */
export interface Message<C extends AnyContract = AnyContract> {
  contract: C;
  data: unknown;
}

interface Shape<Kind extends string, I extends z.ZodType> {
  readonly kind: Kind;
  /** `<service>.<name>`: also the routing key. */
  readonly name: string;
  readonly service: string;
  readonly description: string;
  readonly input: I;
  /** The field with the id of the entity that a message is about. Messages about one entity are kept in order. */
  readonly subject?: string;
}

interface RequestShape<
  Kind extends string,
  I extends z.ZodType,
  O extends z.ZodType,
  R extends string,
> extends Shape<Kind, I> {
  readonly output: O;
  /** How callers call its service. */
  readonly policy: CallPolicy;
  readonly rejections: Readonly<Record<R, number>>;
  /** Extension members of a problem, by rejection code (RFC 9457, section 3.2). */
  readonly extensions?: Extensions;
  readonly http?: HttpBinding;
  readonly access?: Access;
  /** The full name of the query whose fallback this is. */
  readonly standsInFor?: string;
  /** Set if this serves everything beneath a path instead of one route. */
  readonly pages?: Pages & { limit?: RateLimit };
  readonly idempotency: Idempotency;
  /**
   * True if input or output contain secrets: both are encrypted wherever they are stored, and never logged. An answer is
   * stored only if the contract asks for an Idempotency-Key, and then encrypted.
   */
  readonly sensitive: boolean;
  /**
   * Creates a rejection that this contract declares, to be thrown.
   * @param code one of the contract's rejections
   * @param message one sentence for the caller
   * @param errors the fields that it is about
   */
  reject(code: R, message?: string, errors?: FieldError[]): Rejection;
}

/** Requests a change; named in the imperative. Calling it creates a message: `ReserveStock({ orderId, lines })`. */
export interface Command<
  I extends z.ZodType = z.ZodType,
  O extends z.ZodType = z.ZodType,
  R extends string = string,
> extends RequestShape<'command', I, O, R> {
  (data: z.input<I>): Message<Command<I, O, R>>;
}

/** Requests an answer and changes nothing. */
export interface Query<
  I extends z.ZodType = z.ZodType,
  O extends z.ZodType = z.ZodType,
  R extends string = string,
> extends RequestShape<'query', I, O, R> {
  (data: z.input<I>): Message<Query<I, O, R>>;
}

/** Reports a change; named in the past tense. */
export interface Event<I extends z.ZodType = z.ZodType> extends Shape<'event', I> {
  /** Paths of the fields that only the service itself can read; see `sensitive`. */
  readonly sensitiveFields: readonly (readonly string[])[];
  (data: z.input<I>): Message<Event<I>>;
}

// The widest contract of each kind. The parameter type `never` makes every concrete contract assignable to it.
type Widest<C> = Omit<C, 'reject'> & { (data: never): Message };
export type AnyCommand = Widest<Command> & {
  reject(code: never, message?: string, errors?: FieldError[]): Rejection;
};
export type AnyQuery = Widest<Query> & {
  reject(code: never, message?: string, errors?: FieldError[]): Rejection;
};
export type AnyEvent = Widest<Event>;
export type AnyRequest = AnyCommand | AnyQuery;
export type AnyContract = AnyRequest | AnyEvent;

/** The input of a handler: parsed. */
export type Body<C extends { input: z.ZodType }> = z.output<C['input']>;
/** The input of a caller: before parsing, without defaults. */
export type Input<C extends { input: z.ZodType }> = z.input<C['input']>;
/** The output for a caller: parsed. */
export type Reply<C extends { output: z.ZodType }> = z.output<C['output']>;
/** The output of a handler: before parsing. */
export type Answer<C extends { output: z.ZodType }> = z.input<C['output']>;

type Spec<I extends z.ZodType, O extends z.ZodType, R extends string> = {
  input: I;
  output?: O;
  /** Stable codes of the rejections, each with its HTTP status. */
  rejections?: Readonly<Record<R, number>>;
  /** Schemas of the members that `reject(code).with(…)` adds, by code. */
  extensions?: Readonly<Partial<Record<NoInfer<R>, z.ZodObject>>>;
  subject?: keyof z.output<I> & string;
  description?: string;
  idempotency?: Idempotency;
  /** By default true if a field of the input or output is sensitive; see `sensitive`. */
  sensitive?: true;
  standsInFor?: string;
} & ({ http: HttpBinding['route'] | HttpBinding; access: Access } | { http?: undefined; access?: undefined });

/** The public contract of one service. */
export interface ServiceContract {
  readonly name: string;
  readonly description: string;
  readonly policy: CallPolicy;
  /** Every contract declared so far, by full name. */
  readonly contracts: ReadonlyMap<string, AnyContract>;
  command<I extends z.ZodType, O extends z.ZodType = z.ZodVoid, R extends string = never>(
    name: string,
    spec: Spec<I, O, R>,
  ): Command<I, O, R>;
  query<I extends z.ZodType, O extends z.ZodType, R extends string = never>(
    name: string,
    spec: Spec<I, O, R> & { output: O },
  ): Query<I, O, R>;
  /**
   * Declares public pages and forms, with cookies: the service serves everything beneath a path itself.
   * The gateway forwards requests unchanged and reads no token.
   */
  pages(
    name: string,
    spec: Pages & { description?: string; limit?: RateLimit },
  ): Command<typeof PageRequest, typeof PageAnswer>;
  event<I extends z.ZodType>(
    name: string,
    data: I,
    options?: { subject?: keyof z.output<I> & string; description?: string },
  ): Event<I>;
}

/**
 * Creates the contract of a service. Each of its public messages is declared on the result, once.
 * @param name the service's name, lower case: the first part of every contract name
 * @param description one sentence on the data that the service owns
 * @param policy how callers call it, if different from the defaults
 * @throws Error if a declaration contradicts itself (a duplicate name, a path parameter that is no field, an input
 *   that accepts unknown fields, a route without an access policy)
 */
export function service(
  name: string,
  description = '',
  policy: z.input<typeof CallPolicy> = {},
): ServiceContract {
  const callPolicy = CallPolicy.parse(policy);
  const contracts = new Map<string, AnyContract>();

  function declare<C extends AnyContract>(fields: Record<string, unknown> & { name: string }): C {
    if (!/^[a-z]+(\.[a-z0-9]+(-[a-z0-9]+)*)+$/.test(fields.name))
      throw new Error(`${fields.name} is not a contract name: use <service>.<name> in kebab-case`);
    if (contracts.has(fields.name)) throw new Error(`${fields.name} is declared twice: rename one of them`);
    const contract = ((data: unknown) => ({ contract, data })) as unknown as C;
    for (const [key, value] of Object.entries({ service: name, ...fields })) {
      Object.defineProperty(contract, key, { value, enumerable: true });
    }
    contracts.set(fields.name, contract);
    return contract;
  }

  function declareRequest<C extends AnyRequest>(
    kind: 'command' | 'query',
    short: string,
    spec: Spec<z.ZodType, z.ZodType, string>,
    pages?: Pages & { limit?: RateLimit },
  ): C {
    const full = `${name}.${short}`;
    const http = typeof spec.http === 'string' ? { route: spec.http } : spec.http;
    assertStrict(full, spec.input);
    assertAccess(full, http, spec.access);
    if (http) assertBinding(full, http, spec.input);
    const isPublicRead = kind === 'query' && http?.route.startsWith('GET ') && spec.access === 'public';
    if (http?.cache && !isPublicRead) throw new Error(`${full}: only a public read can be cached`);
    if (http?.fallback && !isPublicRead) throw new Error(`${full}: only a public read can have a fallback`);
    const rejections = spec.rejections ?? {};
    const output = spec.output ?? z.void();
    const isSensitive =
      spec.sensitive ?? (hasSensitiveField(spec.input, 'input') || hasSensitiveField(output, 'output'));
    return declare<C>({
      kind,
      name: full,
      description: spec.description ?? '',
      policy: callPolicy,
      input: spec.input,
      output,
      rejections,
      ...(spec.extensions && { extensions: spec.extensions }),
      subject: spec.subject,
      http,
      access: spec.access,
      idempotency: spec.idempotency ?? (kind === 'command' && !isSensitive ? 'optional' : 'none'),
      sensitive: isSensitive,
      ...(spec.standsInFor && { standsInFor: spec.standsInFor }),
      ...(pages && { pages, access: 'public' }),
      reject: (code: string, message?: string, errors?: FieldError[]) =>
        new Rejection(code, rejections[code] ?? 422, message, errors),
    });
  }

  return {
    name,
    description,
    policy: callPolicy,
    contracts,
    command: (short, spec) => declareRequest('command', short, spec as never),
    query: (short, spec) => declareRequest('query', short, spec as never),
    pages: (short, { description = '', ...pages }) => {
      assertPages(`${name}.${short}`, pages);
      const spec = { description, input: PageRequest, output: PageAnswer, sensitive: true as const };
      return declareRequest('command', short, spec, pages);
    },
    event: (short, data, options) =>
      declare({
        kind: 'event',
        name: `${name}.${short}`,
        description: options?.description ?? '',
        input: data,
        subject: options?.subject,
        sensitiveFields: findSensitiveFields(`${name}.${short}`, data),
      }),
  };
}

/** Unknown fields are rejected at every depth, so an input schema that silently drops them is a mistake. */
function assertStrict(name: string, input: z.ZodType): void {
  const walk = (schema: unknown, path: string): void => {
    if (!schema || typeof schema !== 'object') return;
    const node = schema as Record<string, unknown>;
    if (node['type'] === 'object' && node['properties'] && node['additionalProperties'] !== false) {
      throw new Error(`${name}: input${path} must be a z.strictObject, so that unknown fields are rejected`);
    }
    for (const [key, child] of Object.entries(node)) walk(child, `${path}.${key}`);
  };
  walk(z.toJSONSchema(input, { io: 'input', unrepresentable: 'any' }), '');
}

/** For code that bypasses the compiler: it fails at import, in tests and at start-up. */
function assertAccess(name: string, http: HttpBinding | undefined, access: unknown): void {
  if (!http && access === undefined) return;
  if (!http) throw new Error(`${name}: access is set, but there is no route: set http or remove access`);
  if (!accesses.includes(access as Access))
    throw new Error(
      `${name}: ${http.route} needs an access policy: set access to one of ${accesses.join(', ')}`,
    );
}

function assertBinding(name: string, http: HttpBinding, input: z.ZodType): void {
  const fields = input instanceof z.ZodObject ? Object.keys(input.shape) : [];
  const used = [...pathParameters(http.route), ...(http.ifMatch ? [http.ifMatch] : [])];
  const missing = used.filter((field) => !fields.includes(field));
  if (missing.length)
    throw new Error(`${name}: ${http.route} uses ${missing.join(', ')}: add it to the input`);
  // If-Match can be `*` or a list of versions, which is empty if none is known.
  const condition = http.ifMatch && (input as z.ZodObject<Record<string, z.ZodType>>).shape[http.ifMatch]!;
  if (condition && !['*', []].every((value) => condition.safeParse(value).success))
    throw new Error(`${name}: ${http.ifMatch} must be a VersionCondition, because If-Match fills it`);
}

/** The parameters of a path, in order: `/v1/orders/{orderId}` gives `['orderId']`. */
export function pathParameters(path: string): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!);
}

/**
 * Whether a request can match both routes: the same method, and paths that differ only where one has a parameter.
 * @param a `METHOD /path/{parameter}`; the method `*` is any, and a last segment `*` is the path itself and all beneath it
 * @param b likewise
 */
export function routesOverlap(a: string, b: string): boolean {
  const [[method, path], [otherMethod, otherPath]] = [a.split(' '), b.split(' ')] as [string[], string[]];
  if (method !== otherMethod && method !== '*' && otherMethod !== '*') return false;
  const [one, other] = [path!.split('/'), otherPath!.split('/')];
  const isOpen = (part: string): boolean => part.startsWith('{');
  for (let at = 0; ; at += 1) {
    const [part, otherPart] = [one[at], other[at]];
    if (part === '*' || otherPart === '*') return true;
    if (part === undefined || otherPart === undefined) return part === otherPart;
    if (part !== otherPart && !isOpen(part) && !isOpen(otherPart)) return false;
  }
}
