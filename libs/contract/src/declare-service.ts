import { z } from 'zod';
import { CallPolicy } from './call-policy.ts';
import {
  accesses,
  type AnyContract,
  type AnyRequest,
  type HttpBinding,
  type RateLimit,
  type RequestSpec,
  type ServiceContract,
} from './contract.ts';
import { assertPages, PageAnswer, PageRequest, type Pages } from './pages.ts';
import { Rejection, type FieldError } from './rejection.ts';
import { pathParameters } from './routes.ts';
import { findSensitiveFields, hasSensitiveField } from './sensitive.ts';
import { RoleName } from './vocabulary.ts';

type AnyRequestSpec = RequestSpec<z.ZodType, z.ZodType, string>;
type PagesSpec = Pages & { limit?: RateLimit };

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
  const declarations = new Declarations(name, callPolicy);
  return {
    name,
    description,
    policy: callPolicy,
    contracts: declarations.contracts,
    command: (short, spec) => declarations.addRequest('command', short, spec as never),
    query: (short, spec) => declarations.addRequest('query', short, spec as never),
    pages: (short, { description = '', ...pages }) => {
      assertPages(`${name}.${short}`, pages);
      const spec = { description, input: PageRequest, output: PageAnswer, sensitive: true as const };
      return declarations.addRequest('command', short, spec, pages);
    },
    event: (short, data, options) =>
      declarations.add({
        kind: 'event',
        name: `${name}.${short}`,
        description: options?.description ?? '',
        input: data,
        subject: options?.subject,
        sensitiveFields: findSensitiveFields(`${name}.${short}`, data),
      }),
  };
}

/** The contracts of one service, checked as they are declared. */
class Declarations {
  readonly contracts = new Map<string, AnyContract>();
  // Not parameter properties: tools load this file with Node's type stripping, which does not support them.
  readonly #service: string;
  readonly #policy: CallPolicy;

  constructor(service: string, policy: CallPolicy) {
    this.#service = service;
    this.#policy = policy;
  }

  /** Adds a contract: a function that creates messages, with these fields. */
  add<C extends AnyContract>(fields: Record<string, unknown> & { name: string }): C {
    if (!/^[a-z]+(\.[a-z0-9]+(-[a-z0-9]+)*)+$/.test(fields.name))
      throw new Error(
        `${fields.name} is not a contract name: use <service>.<name>, the service in letters a to z, the name in kebab-case`,
      );
    if (this.contracts.has(fields.name))
      throw new Error(`${fields.name} is declared twice: rename one of them`);
    const contract = ((data: unknown) => ({ contract, data })) as unknown as C;
    for (const [key, value] of Object.entries({ service: this.#service, ...fields })) {
      Object.defineProperty(contract, key, { value, enumerable: true });
    }
    this.contracts.set(fields.name, contract);
    return contract;
  }

  /** @param pages set if the request serves everything beneath a path */
  addRequest<C extends AnyRequest>(
    kind: 'command' | 'query',
    short: string,
    spec: AnyRequestSpec,
    pages?: PagesSpec,
  ): C {
    const name = `${this.#service}.${short}`;
    const {
      input,
      output = z.void(),
      rejections = {},
      extensions,
      subject,
      access,
      priority,
      standsInFor,
    } = spec;
    const http = typeof spec.http === 'string' ? { route: spec.http } : spec.http;
    assertStrict(name, input);
    assertAccess(name, http, access);
    if (http) {
      assertBinding(name, http, input);
      assertPublicRead(name, http, kind === 'query' && access === 'public');
    }
    const isSensitive =
      spec.sensitive ?? (hasSensitiveField(input, 'input') || hasSensitiveField(output, 'output'));
    return this.add<C>({
      kind,
      name,
      description: spec.description ?? '',
      policy: this.#policy,
      input,
      output,
      rejections,
      ...(extensions && { extensions }),
      subject,
      http,
      access,
      ...(priority && { priority }),
      idempotency: spec.idempotency ?? (kind === 'command' && !isSensitive ? 'optional' : 'none'),
      sensitive: isSensitive,
      ...(standsInFor && { standsInFor }),
      ...(pages && { pages, access: 'public' }),
      reject: (code: string, message?: string, errors?: FieldError[]) =>
        new Rejection(code, rejections[code] ?? 422, message, errors),
    });
  }
}

/** A cache or a fallback can give one answer to all callers. */
function assertPublicRead(name: string, { route, cache, fallback }: HttpBinding, isPublic: boolean): void {
  if (isPublic && route.startsWith('GET ')) return;
  if (cache) throw new Error(`${name}: only a public read can be cached`);
  if (fallback) throw new Error(`${name}: only a public read can have a fallback`);
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
  // Whether a role is declared is checked by the build, which knows `jogakbo.config.ts`.
  if (!RoleName.safeParse(access).success)
    throw new Error(
      `${name}: ${http.route} needs an access policy: set access to one of ${accesses.join(', ')}, or to a role`,
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
