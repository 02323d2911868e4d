import { z } from 'zod';
import { CallPolicy } from './call-policy.ts';
import { mustBePages, PageAnswer, PageRequest, type Pages } from './pages.ts';
import { Rejection, type FieldError } from './rejection.ts';
import { findSensitiveFields, hasSensitiveField } from './sensitive.ts';

/**
 * Who may use a request over HTTP. A `public` query is answered by its input and its language alone where nobody is signed
 * in: who asks the same at the same moment gets the same answer. `owner` is a member whose thing it is: only the service can tell, so a handler
 * of an `owner` contract that answers without having checked is a fault.
 */
export type Access = (typeof accesses)[number];
export const accesses = ['public', 'member', 'owner', 'merchant', 'operator'] as const;

/** `required` and `optional` speak of the HTTP header Idempotency-Key; `none` refuses to remember anything. */
export type Idempotency = 'required' | 'optional' | 'none';

/** How a request is reached over HTTP. Path parameters, query and body together are the input. */
export interface HttpBinding {
  /** `METHOD /path/{parameter}`; every parameter is a field of the input. */
  route: `${'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'} /${string}`;
  /** Status of success; by default 200, or 204 where there is no output. */
  status?: number;
  /** Path of what was made, filled from the output: becomes the Location header. */
  location?: `/${string}`;
  /** Output field that is the version of the representation: becomes the ETag. */
  etag?: string;
  /** Input field (a `VersionCondition`) that the If-Match header fills; the header is then required. */
  ifMatch?: string;
  /** What `Prefer: wait=N` waits for. */
  wait?: Wait;
  /** The member must have signed in within so many seconds: for what is dangerous. Else `step-up-required`. */
  maxAuthAge?: number;
  /** True for a route whose output is the whole document of another standard (JWKS, OpenID discovery). */
  document?: boolean;
  /** How often one address, and one member, may use this route. */
  limit?: RateLimit;
  /** How often one member may use this route, where that is less than `limit`: behind one address may be many members. */
  memberLimit?: RateLimit;
  /** For a public read that is the same for everybody: for so long an answer may be given again. */
  cache?: Cache;
  /** What answers a public read while its service does not. */
  fallback?: Fallback;
}

/** So many requests in each window of time: `10/minute`. */
export type RateLimit = `${number}/${'second' | 'minute' | 'hour'}`;

/**
 * In seconds. `maxAge`: for so long an answer is as good as a new one. `staleIfError`: for so long after that it is better
 * than none (RFC 5861), while the service does not answer; whoever gets it is told.
 */
export interface Cache {
  maxAge: number;
  staleIfError?: number;
}

/**
 * The full name of a query of another service, of the same shape, which says in turn that it stands in for this one; or
 * one answer for all.
 */
export type Fallback = { query: string } | { answer: Record<string, unknown> };

/**
 * After the reply: wait until one of `until` is announced with the same `key`, then answer with `status` and what
 * `answer` says. An event that has every field that `answer` must have says it already: nobody is asked then.
 */
export interface Wait {
  key: string;
  until: readonly AnyEvent[];
  answer: AnyQuery;
  status: number;
}

/** Extension members of the problem of each rejection that has any. */
export type Extensions = Readonly<Record<string, z.ZodObject>>;

/** A message about to leave: a contract and the data that fits it. */
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
  /** The field that says which thing a message is about; messages about one thing are kept in order. */
  readonly subject?: string;
}

interface RequestShape<
  Kind extends string,
  I extends z.ZodType,
  O extends z.ZodType,
  R extends string,
> extends Shape<Kind, I> {
  readonly output: O;
  /** How those who ask its service go about it. */
  readonly policy: CallPolicy;
  readonly rejections: Readonly<Record<R, number>>;
  /** What a problem tells beside the standard members, by rejection code (RFC 9457, section 3.2). */
  readonly extensions?: Extensions;
  readonly http?: HttpBinding;
  readonly access?: Access;
  /** The full name of a query that names this one as its fallback. */
  readonly standsInFor?: string;
  /** Set where this is no route, but all that lies beneath a path. */
  readonly pages?: Pages & { limit?: RateLimit };
  readonly idempotency: Idempotency;
  /**
   * True where input or output hold secrets: both are encrypted wherever they may rest, and never logged. An answer is
   * not kept, unless the contract asks for an Idempotency-Key; then it is kept encrypted.
   */
  readonly sensitive: boolean;
  /**
   * The "no" that this contract declares, to be thrown.
   * @param code one of the contract's rejections
   * @param message one sentence for the caller
   * @param errors the fields that it is about
   */
  reject(code: R, message?: string, errors?: FieldError[]): Rejection;
}

/** Asks for a change, in the imperative. Calling it makes a message: `ReserveStock({ orderId, lines })`. */
export interface Command<
  I extends z.ZodType = z.ZodType,
  O extends z.ZodType = z.ZodType,
  R extends string = string,
> extends RequestShape<'command', I, O, R> {
  (data: z.input<I>): Message<Command<I, O, R>>;
}

/** Asks for an answer and changes nothing. */
export interface Query<
  I extends z.ZodType = z.ZodType,
  O extends z.ZodType = z.ZodType,
  R extends string = string,
> extends RequestShape<'query', I, O, R> {
  (data: z.input<I>): Message<Query<I, O, R>>;
}

/** Says what happened, in the past tense. */
export interface Event<I extends z.ZodType = z.ZodType> extends Shape<'event', I> {
  /** The paths of the fields that only the service itself can read; see `sensitive`. */
  readonly sensitiveFields: readonly (readonly string[])[];
  (data: z.input<I>): Message<Event<I>>;
}

// The widest contract of each kind. `never` as parameter is what makes every concrete contract assignable to it.
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

/** What a handler of the contract is given: the parsed input. */
export type Body<C extends { input: z.ZodType }> = z.output<C['input']>;
/** What a caller of the contract writes: the input before parsing, defaults still open. */
export type Input<C extends { input: z.ZodType }> = z.input<C['input']>;
/** What a caller of the contract gets. */
export type Reply<C extends { output: z.ZodType }> = z.output<C['output']>;
/** What a handler of the contract returns. */
export type Answer<C extends { output: z.ZodType }> = z.input<C['output']>;

type Spec<I extends z.ZodType, O extends z.ZodType, R extends string> = {
  input: I;
  output?: O;
  /** Stable code of each "no", with the HTTP status that shows it. */
  rejections?: Readonly<Record<R, number>>;
  /** What `reject(code).with(…)` tells a client, by code. */
  extensions?: Readonly<Partial<Record<NoInfer<R>, z.ZodObject>>>;
  subject?: keyof z.output<I> & string;
  description?: string;
  idempotency?: Idempotency;
  /** By default true where a field of the input or output is; see `sensitive`. */
  sensitive?: true;
  standsInFor?: string;
} & ({ http: HttpBinding['route'] | HttpBinding; access: Access } | { http?: undefined; access?: undefined });

/** All that one service says in public. */
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
   * Declares that the service answers all that lies beneath a path itself, for everybody: pages and forms, with cookies.
   * The gateway carries them whole; it reads no token for them.
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
 * Opens the contract of a service. Everything that it says in public is declared on the result, once.
 * @param name the service's name, lower case: the first half of every contract name
 * @param description one sentence on what the service owns
 * @param policy how those who ask it go about it, where that is not as usual
 * @throws Error where a declaration contradicts itself (a name twice, a path parameter that is no field, an input
 *   that would let unknown fields pass, a route that does not say who may use it)
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
      throw new Error(`${fields.name}: not a contract name`);
    if (contracts.has(fields.name)) throw new Error(`${fields.name}: declared twice`);
    const contract = ((data: unknown) => ({ contract, data })) as unknown as C;
    for (const [key, value] of Object.entries({ service: name, ...fields })) {
      Object.defineProperty(contract, key, { value, enumerable: true });
    }
    contracts.set(fields.name, contract);
    return contract;
  }

  function request<C extends AnyRequest>(
    kind: 'command' | 'query',
    short: string,
    spec: Spec<z.ZodType, z.ZodType, string>,
    pages?: Pages & { limit?: RateLimit },
  ): C {
    const full = `${name}.${short}`;
    const http = typeof spec.http === 'string' ? { route: spec.http } : spec.http;
    mustBeStrict(full, spec.input);
    mustSayWhoMay(full, http, spec.access);
    if (http) mustBind(full, http, spec.input);
    const isPublicRead = kind === 'query' && http?.route.startsWith('GET ') && spec.access === 'public';
    if (http?.cache && !isPublicRead) throw new Error(`${full}: only a public read can be cached`);
    if (http?.fallback && !isPublicRead) throw new Error(`${full}: only a public read has a fallback`);
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
    command: (short, spec) => request('command', short, spec as never),
    query: (short, spec) => request('query', short, spec as never),
    pages: (short, { description = '', ...pages }) => {
      mustBePages(`${name}.${short}`, pages);
      const spec = { description, input: PageRequest, output: PageAnswer, sensitive: true as const };
      return request('command', short, spec, pages);
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

/** Unknown fields are refused at every depth, so an input schema that would drop them in silence is a mistake. */
function mustBeStrict(name: string, input: z.ZodType): void {
  const walk = (schema: unknown, path: string): void => {
    if (!schema || typeof schema !== 'object') return;
    const node = schema as Record<string, unknown>;
    if (node['type'] === 'object' && node['properties'] && node['additionalProperties'] !== false) {
      throw new Error(`${name}: input${path} must be a z.strictObject, so that unknown fields are refused`);
    }
    for (const [key, child] of Object.entries(node)) walk(child, `${path}.${key}`);
  };
  walk(z.toJSONSchema(input, { io: 'input', unrepresentable: 'any' }), '');
}

/** The compiler refuses it already. What was written around it fails with the first import: in tests, and at start. */
function mustSayWhoMay(name: string, http: HttpBinding | undefined, access: unknown): void {
  if (!http && access === undefined) return;
  if (!http) throw new Error(`${name}: access is a policy for a route, and it has none`);
  if (!accesses.includes(access as Access))
    throw new Error(
      `${name}: ${http.route} must say who may use it: access is one of ${accesses.join(', ')}`,
    );
}

function mustBind(name: string, http: HttpBinding, input: z.ZodType): void {
  const fields = input instanceof z.ZodObject ? Object.keys(input.shape) : [];
  const used = [...pathParameters(http.route), ...(http.ifMatch ? [http.ifMatch] : [])];
  const missing = used.filter((field) => !fields.includes(field));
  if (missing.length)
    throw new Error(`${name}: ${http.route} uses ${missing.join(', ')}, which its input does not have`);
  // If-Match may be `*`, name several versions, or none that there is.
  const condition = http.ifMatch && (input as z.ZodObject<Record<string, z.ZodType>>).shape[http.ifMatch]!;
  if (condition && !['*', []].every((value) => condition.safeParse(value).success))
    throw new Error(`${name}: ${http.ifMatch} must be a VersionCondition, for If-Match fills it`);
}

/** The parameters of a path, in order: `/v1/orders/{orderId}` gives `['orderId']`. */
export function pathParameters(path: string): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!);
}

/**
 * Whether there is a request that both routes would take: the same method, and paths that differ in nothing but what
 * one of them leaves open.
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
