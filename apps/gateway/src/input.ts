import { isDeeperThan, platformRejection, type FieldError, type JsonSchema } from '@jogakbo/contract';
import { parseVersions } from './conditional.ts';
import { lowerIdsBySchema } from './ids.ts';
import type { Route } from './routes.ts';

/** The parts of a request before they are combined by the contract. */
export interface RequestParts {
  parameters: Record<string, string>;
  query: Record<string, unknown>;
  body: unknown;
  ifMatch: string | undefined;
}

/** Maximum nesting depth of a body. Deeper than any contract, and safe for recursive code. */
const maxDepth = 32;

/**
 * Builds the input of a contract from path, query or body, and If-Match. Unknown fields are passed on: the service
 * validates the input and reports them.
 * @throws Rejection that names a field given by two parts of the request
 */
export function buildInput({ http, contract }: Route, parts: RequestParts): Record<string, unknown> {
  const { parameters, query, ifMatch } = parts;
  const hasBody = http.method !== 'GET' && http.method !== 'DELETE';
  const given = convertTexts(parameters, contract.input);
  if (parts.body === undefined && http.ifMatch === undefined && isEmpty(query)) return given;
  const body = getBodyFields(parts.body);
  const fields = hasBody ? body : convertTexts(query, contract.input);
  lowerIdsBySchema(fields, contract.input);

  const misplaced = Object.keys(hasBody ? query : body).map((path): FieldError => ({
    path,
    message: hasBody ? 'is not a query parameter: send it in the body' : 'must not be sent in a body',
  }));
  const duplicate = Object.keys(fields).flatMap((path): FieldError[] => {
    if (http.parameters.includes(path)) return [{ path, message: 'is already given by the path' }];
    return path === http.ifMatch ? [{ path, message: 'is already given by If-Match' }] : [];
  });
  const errors = [...misplaced, ...duplicate];
  if (errors.length > 0) throw platformRejection('invalid', 'a field is duplicate or misplaced', errors);

  return {
    ...fields,
    ...given,
    ...(http.ifMatch && { [http.ifMatch]: parseVersions(ifMatch) }),
  };
}

function isEmpty(fields: object): boolean {
  for (const _ in fields) return false;
  return true;
}

function getBodyFields(body: unknown): Record<string, unknown> {
  if (body === undefined) return {};
  if (body === null || typeof body !== 'object' || Array.isArray(body)) {
    throw platformRejection('invalid', 'the body must be a JSON object');
  }
  normalizeBody(body);
  return body as Record<string, unknown>;
}

/**
 * Normalizes all texts of a body to NFC, in place, so that length, comparison and search are consistent.
 * @throws Rejection for a body nested too deeply, and for texts that a database cannot store
 */
export function normalizeBody(body: unknown): void {
  if (isDeeperThan(maxDepth, body)) throw platformRejection('invalid', 'the body is nested too deeply');
  const field = normalizeTexts(body, '');
  if (field === undefined) return;
  throw platformRejection('invalid', 'a text contains an invalid character', [
    { path: field, message: 'must not contain NUL or an unpaired surrogate' },
  ]);
}

const beyondAscii = /[^\x00-\x7f]/;

/** @returns the path of the first text that a database cannot store */
function normalizeTexts(value: unknown, path: string): string | undefined {
  if (typeof value === 'string') return isStorable(value) ? undefined : path;
  if (value === null || typeof value !== 'object') return undefined;
  const fields = value as Record<string, unknown>;
  for (const [name, child] of Object.entries(fields)) {
    const inside = path ? `${path}.${name}` : name;
    if (!isStorable(name)) return path;
    const invalid = normalizeTexts(child, inside);
    if (invalid !== undefined) return invalid;
    if (typeof child === 'string' && beyondAscii.test(child)) fields[name] = child.normalize('NFC');
  }
  return undefined;
}

const isStorable = (text: string): boolean => !text.includes('\0') && text.isWellFormed();

/** Converts texts of a URL to the types of the schema. Others stay texts, which the service rejects. */
function convertTexts(texts: Record<string, unknown>, input: JsonSchema): Record<string, unknown> {
  const properties = getProperties(input);
  // No prototype, because a field may be named `__proto__`.
  const values = Object.create(null) as Record<string, unknown>;
  for (const name of Object.keys(texts)) {
    const { types, items } = properties.get(name) ?? anything;
    const text = texts[name];
    values[name] = items ? [text].flat().map((one) => coerce(one, items)) : coerce(text, types);
  }
  return values;
}

/** The JSON types of a field, and of its items if it is a list. */
interface Property {
  types: Set<unknown>;
  items: Set<unknown> | undefined;
}

const anything: Property = { types: new Set(), items: undefined };
/** Cache by schema. */
const known = new WeakMap<JsonSchema, Map<string, Property>>();

function getProperties(input: JsonSchema): Map<string, Property> {
  let properties = known.get(input);
  if (!properties) {
    const schemas = Object.entries((input['properties'] ?? {}) as Record<string, JsonSchema>);
    properties = new Map(
      schemas.map(([name, schema]) => {
        const [types, items] = [getTypes(schema), schema['items'] as JsonSchema | undefined];
        return [name, { types, items: types.has('array') && items ? getTypes(items) : undefined }];
      }),
    );
    known.set(input, properties);
  }
  return properties;
}

function coerce(value: unknown, types: Set<unknown>): unknown {
  if (typeof value !== 'string') return value;
  if (types.has('boolean') && (value === 'true' || value === 'false')) return value === 'true';
  const isNumber = types.has('integer') || types.has('number');
  if (!isNumber || !/^-?\d{1,16}(\.\d{1,15})?$/.test(value)) return value;
  const number = Number(value);
  // Larger numbers than 2^53 - 1 would lose precision.
  return Math.abs(number) <= Number.MAX_SAFE_INTEGER ? number : value;
}

function getTypes(schema: JsonSchema): Set<unknown> {
  const choices = [schema['anyOf'], schema['oneOf']].flatMap((choice) => (choice ?? []) as JsonSchema[]);
  return new Set([...[schema['type']].flat(), ...choices.flatMap((choice) => [...getTypes(choice)])]);
}
