import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { type Store } from '../../src/store.ts';

export type JsonSchema = Record<string, unknown>;
export type Access = 'public' | 'member' | 'owner' | 'merchant' | 'operator';

interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header';
  required: boolean;
  schema: JsonSchema;
}

interface Response {
  content?: Record<string, { schema: JsonSchema }>;
}

/** A method of a path in the OpenAPI document of the running store. */
export interface Operation {
  /** `GET /v1/orders/{orderId}` */
  name: string;
  method: string;
  path: string;
  access: Access;
  /** Whether it accepts an access token. */
  takesToken: boolean;
  parameters: Parameter[];
  body: JsonSchema | undefined;
  responses: Record<string, Response>;
}

/** A response, independent of the client library. */
export interface Received {
  status: number;
  mediaType: string | undefined;
  text: string;
}

interface Document {
  paths: Record<string, Record<string, Documented>>;
  components: { schemas: Record<string, JsonSchema> };
}

interface Documented {
  'x-access': Access;
  security: Record<string, unknown>[];
  parameters?: Parameter[];
  requestBody?: { content: Record<string, { schema: JsonSchema }> };
  responses: Record<string, Response>;
}

/** The OpenAPI document of the running store, with checks of responses against it. */
export class ApiDocument {
  readonly operations: Operation[];
  readonly #ajv = new Ajv2020({ strict: false, allErrors: false });
  readonly #validators = new Map<JsonSchema, ValidateFunction>();

  private constructor(document: Document) {
    addFormats.default(this.#ajv);
    for (const [name, schema] of Object.entries(document.components.schemas))
      this.#ajv.addSchema(forbidAdditional(schema) as JsonSchema, `#/components/schemas/${name}`);
    this.operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, documented]) => ({
        name: `${method.toUpperCase()} ${path}`,
        method: method.toUpperCase(),
        path,
        access: documented['x-access'],
        takesToken: documented.security.some((one) => 'bearer' in one),
        parameters: documented.parameters ?? [],
        body: documented.requestBody?.content['application/json']?.schema,
        responses: documented.responses,
      })),
    );
  }

  static async read(store: Store): Promise<ApiDocument> {
    return new ApiDocument((await store.call('GET', '/openapi.json')).body);
  }

  getOperation(name: string): Operation {
    const found = this.operations.find((one) => one.name === name);
    if (!found) throw new Error(`${name} is not in the OpenAPI document`);
    return found;
  }

  /**
   * Explains why a response does not match the document, or returns undefined. `default` responses do not count, and
   * undeclared fields are errors at every depth.
   */
  explainMismatch({ responses }: Operation, { status, mediaType, text }: Received): string | undefined {
    const declared = responses[status] ?? responses[`${Math.floor(status / 100)}XX`];
    if (!declared) return `the status ${status} is not declared`;
    if (!declared.content) return text === '' ? undefined : 'there is a body, but none is declared';
    const media = declared.content[mediaType ?? ''];
    if (!media) return `the media type ${mediaType} is not declared for ${status}`;
    if (!mediaType!.endsWith('json')) return undefined;
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      return 'the body is not JSON';
    }
    let validate = this.#validators.get(media.schema);
    if (!validate) {
      validate = this.#ajv.compile(forbidAdditional(media.schema) as JsonSchema);
      this.#validators.set(media.schema, validate);
    }
    return validate(body)
      ? undefined
      : `the body does not match its schema: ${this.#ajv.errorsText(validate.errors)}`;
  }

  /** Every place in a response whose fields are not declared. */
  get undeclared(): string[] {
    return this.operations.flatMap(({ name, responses }) =>
      Object.entries(responses).flatMap(([status, { content = {} }]) =>
        Object.values(content).flatMap(({ schema }) =>
          findUndeclared(schema).map((place) => `${name} ${status}${place}`),
        ),
      ),
    );
  }
}

/** Copies a schema and forbids undeclared fields. */
function forbidAdditional(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(forbidAdditional);
  if (!schema || typeof schema !== 'object') return schema;
  const copy = Object.fromEntries(
    Object.entries(schema).map(([key, child]) => [key, forbidAdditional(child)]),
  );
  const isObject = 'properties' in schema && !('additionalProperties' in schema);
  return isObject && typeof (schema as JsonSchema)['properties'] === 'object'
    ? { ...copy, additionalProperties: false }
    : copy;
}

function findUndeclared(schema: JsonSchema, place = ''): string[] {
  const { type, properties, additionalProperties: others, items, anyOf } = schema;
  if (Object.keys(schema).length === 0) return [place];
  if (type === 'object' && !properties && (others === undefined || others === true)) return [place];
  return [
    ...Object.entries((properties ?? {}) as Record<string, JsonSchema>).flatMap(([name, child]) =>
      findUndeclared(child, `${place}.${name}`),
    ),
    ...(others && typeof others === 'object' ? findUndeclared(others as JsonSchema, `${place}.*`) : []),
    ...(items ? findUndeclared(items as JsonSchema, `${place}[]`) : []),
    ...((anyOf ?? []) as JsonSchema[]).flatMap((child) => findUndeclared(child, place)),
  ];
}
