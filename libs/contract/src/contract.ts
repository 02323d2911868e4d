import type { z } from 'zod';
import type { CallPolicy } from './call-policy.ts';
import type { PageAnswer, PageRequest, Pages } from './pages.ts';
import type { FieldError, Rejection } from './rejection.ts';

/**
 * Who may use a request over HTTP: one of these, or members with a role that `jogakbo.config.ts` declares. Without a
 * signed-in member, the answer of a `public` query depends only on its input and language. `owner` is the member who owns
 * the resource. Only the service can check ownership: a handler of an `owner` contract that answers without this check is
 * a fault.
 */
export type Access = (typeof accesses)[number] | (string & {});
export const accesses = ['public', 'member', 'owner', 'operator'] as const;

/** All access policies of a workspace. @param roles those that `jogakbo.config.ts` declares */
export const listPolicies = (roles: readonly string[]): string[] => [...accesses, ...roles];

/** The role that members need for an access policy; undefined if any member may use it, or everybody. */
export const getRequiredRole = (access: Access): string | undefined =>
  ['public', 'member', 'owner'].includes(access) ? undefined : access;

/**
 * Which requests the gateway rejects first under overload: those of priority `low`, then `normal`. Requests of operators
 * come before all others.
 */
export type Priority = (typeof priorities)[number];
export const priorities = ['low', 'normal', 'high'] as const;

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
  /**
   * The field with the id of the entity that a message is about. An instance handles commands and events about one entity
   * in order, until one of them is retried.
   */
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
  /** By default `normal`. */
  readonly priority?: Priority;
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

/** Requests a change; named in the imperative. Calling it creates a message: `ReserveBooks({ loanId, lines })`. */
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
/** The output as the sender of a request receives it: parsed. */
export type Reply<C extends { output: z.ZodType }> = z.output<C['output']>;
/** The output as a handler returns it: before parsing. */
export type HandlerOutput<C extends { output: z.ZodType }> = z.input<C['output']>;

/** What a service states about one of its requests. */
export type RequestSpec<I extends z.ZodType, O extends z.ZodType, R extends string> = {
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
  /** By default `normal`. */
  priority?: Priority;
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
    spec: RequestSpec<I, O, R>,
  ): Command<I, O, R>;
  query<I extends z.ZodType, O extends z.ZodType, R extends string = never>(
    name: string,
    spec: RequestSpec<I, O, R> & { output: O },
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
