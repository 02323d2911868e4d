import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { type Store } from './store.ts';

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

/** One method of one path, as the running store announces it. */
export interface Operation {
  /** `GET /v1/orders/{orderId}` */
  name: string;
  method: string;
  path: string;
  access: Access;
  /** Whether an access token means anything to it. */
  takesToken: boolean;
  parameters: Parameter[];
  body: JsonSchema | undefined;
  responses: Record<string, Response>;
}

/** What came back, whoever sent the request. */
export interface Seen {
  status: number;
  mediaType: string | undefined;
  text: string;
}

interface Document {
  paths: Record<string, Record<string, Announced>>;
  components: { schemas: Record<string, JsonSchema> };
}

interface Announced {
  'x-access': Access;
  security: Record<string, unknown>[];
  parameters?: Parameter[];
  requestBody?: { content: Record<string, { schema: JsonSchema }> };
  responses: Record<string, Response>;
}

/** The live OpenAPI document, and whether an answer is what it promises. */
export class ApiDocument {
  readonly operations: Operation[];
  readonly #ajv = new Ajv2020({ strict: false, allErrors: false });
  readonly #checks = new Map<JsonSchema, ValidateFunction>();

  private constructor(document: Document) {
    addFormats.default(this.#ajv);
    for (const [name, schema] of Object.entries(document.components.schemas))
      this.#ajv.addSchema(closed(schema) as JsonSchema, `#/components/schemas/${name}`);
    this.operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, announced]) => ({
        name: `${method.toUpperCase()} ${path}`,
        method: method.toUpperCase(),
        path,
        access: announced['x-access'],
        takesToken: announced.security.some((one) => 'bearer' in one),
        parameters: announced.parameters ?? [],
        body: announced.requestBody?.content['application/json']?.schema,
        responses: announced.responses,
      })),
    );
  }

  static async read(store: Store): Promise<ApiDocument> {
    return new ApiDocument((await store.call('GET', '/openapi.json')).body);
  }

  operation(name: string): Operation {
    const found = this.operations.find((one) => one.name === name);
    if (!found) throw new Error(`${name} is not announced`);
    return found;
  }

  /**
   * Why the document does not declare this answer, or undefined. What it says of other statuses in general (`default`)
   * does not count, and a field that it does not name is one too many at every depth.
   */
  whyNot({ responses }: Operation, { status, mediaType, text }: Seen): string | undefined {
    const declared = responses[status] ?? responses[`${Math.floor(status / 100)}XX`];
    if (!declared) return `the status ${status} is not declared`;
    if (!declared.content) return text === '' ? undefined : 'there is a body, and none is declared';
    const media = declared.content[mediaType ?? ''];
    if (!media) return `the media type ${mediaType} is not declared for ${status}`;
    if (!mediaType!.endsWith('json')) return undefined;
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      return 'the body is not JSON';
    }
    let check = this.#checks.get(media.schema);
    if (!check)
      this.#checks.set(media.schema, (check = this.#ajv.compile(closed(media.schema) as JsonSchema)));
    return check(body) ? undefined : `the body does not fit: ${this.#ajv.errorsText(check.errors)}`;
  }

  /** Every place of an answer where the document leaves open which fields there are. */
  get open(): string[] {
    return this.operations.flatMap(({ name, responses }) =>
      Object.entries(responses).flatMap(([status, { content = {} }]) =>
        Object.values(content).flatMap(({ schema }) =>
          openPlaces(schema).map((place) => `${name} ${status}${place}`),
        ),
      ),
    );
  }
}

/** The same schema, which takes no field that it does not name. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (!schema || typeof schema !== 'object') return schema;
  const inside = Object.fromEntries(Object.entries(schema).map(([key, child]) => [key, closed(child)]));
  const names = 'properties' in schema && !('additionalProperties' in schema);
  return names && typeof (schema as JsonSchema)['properties'] === 'object'
    ? { ...inside, additionalProperties: false }
    : inside;
}

function openPlaces(schema: JsonSchema, place = ''): string[] {
  const { type, properties, additionalProperties: others, items, anyOf } = schema;
  if (Object.keys(schema).length === 0) return [place];
  if (type === 'object' && !properties && (others === undefined || others === true)) return [place];
  return [
    ...Object.entries((properties ?? {}) as Record<string, JsonSchema>).flatMap(([name, child]) =>
      openPlaces(child, `${place}.${name}`),
    ),
    ...(others && typeof others === 'object' ? openPlaces(others as JsonSchema, `${place}.*`) : []),
    ...(items ? openPlaces(items as JsonSchema, `${place}[]`) : []),
    ...((anyOf ?? []) as JsonSchema[]).flatMap((child) => openPlaces(child, place)),
  ];
}
