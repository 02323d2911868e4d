import { isDeeperThan, platformRejection, type FieldError, type JsonSchema } from '@jogakbo/contract';
import { parseVersions } from './conditional.ts';
import { lowerIdsBySchema } from './ids.ts';
import type { Route } from './routes.ts';

/** What a request brings, before anything is known of its meaning. */
export interface RequestParts {
  parameters: Record<string, string>;
  query: Record<string, unknown>;
  body: unknown;
  ifMatch: string | undefined;
}

/** Deeper than any contract goes, and far from what would exhaust the stack of whoever reads it. */
const deepest = 32;

/**
 * Makes the input of a contract out of path, query or body, and If-Match. Fields that the contract does not know are
 * passed on: the service, which has the contract itself, names them.
 * @throws Rejection that names the field where two parts of the request claim the same one
 */
export function buildInput({ http, contract }: Route, brought: RequestParts): Record<string, unknown> {
  const { parameters, query, ifMatch } = brought;
  const hasBody = http.method !== 'GET' && http.method !== 'DELETE';
  const given = read(parameters, contract.input);
  if (brought.body === undefined && http.ifMatch === undefined && isEmpty(query)) return given;
  const body = bodyFields(brought.body);
  const fields = hasBody ? body : read(query, contract.input);
  lowerIdsBySchema(fields, contract.input);

  const misplaced = Object.keys(hasBody ? query : body).map((path): FieldError => ({
    path,
    message: hasBody ? 'not a query parameter here: it belongs into the body' : 'there is no body here',
  }));
  const twice = Object.keys(fields).flatMap((path): FieldError[] => {
    if (http.parameters.includes(path)) return [{ path, message: 'is given by the path' }];
    return path === http.ifMatch ? [{ path, message: 'is given by the header If-Match' }] : [];
  });
  const errors = [...misplaced, ...twice];
  if (errors.length > 0)
    throw platformRejection('invalid', 'a field stands where it does not belong', errors);

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

function bodyFields(body: unknown): Record<string, unknown> {
  if (body === undefined) return {};
  if (body === null || typeof body !== 'object' || Array.isArray(body)) {
    throw platformRejection('invalid', 'the body must be a JSON object');
  }
  normalizeBody(body);
  return body as Record<string, unknown>;
}

/**
 * Puts every text within a body into NFC, so that the same text is the same everywhere: counted, compared and searched.
 * @throws Rejection for what could exhaust the stack of its readers, and for texts that no database takes
 */
export function normalizeBody(body: unknown): void {
  if (isDeeperThan(deepest, body)) throw platformRejection('invalid', 'the body is nested too deeply');
  const field = normalizeTexts(body, '');
  if (field === undefined) return;
  throw platformRejection('invalid', 'a text holds what is no character', [
    { path: field, message: 'must not hold NUL or half a surrogate pair' },
  ]);
}

const beyondAscii = /[^\x00-\x7f]/;

/** @returns the path of the first text that cannot be kept as text */
function normalizeTexts(value: unknown, path: string): string | undefined {
  if (typeof value === 'string') return isSound(value) ? undefined : path;
  if (value === null || typeof value !== 'object') return undefined;
  const fields = value as Record<string, unknown>;
  for (const [name, child] of Object.entries(fields)) {
    const inside = path ? `${path}.${name}` : name;
    if (!isSound(name)) return path;
    const unsound = normalizeTexts(child, inside);
    if (unsound !== undefined) return unsound;
    if (typeof child === 'string' && beyondAscii.test(child)) fields[name] = child.normalize('NFC');
  }
  return undefined;
}

const isSound = (text: string): boolean => !text.includes('\0') && text.isWellFormed();

/** Texts of a URL as the schema wants them; those that do not fit stay texts, for the contract to name. */
function read(texts: Record<string, unknown>, input: JsonSchema): Record<string, unknown> {
  const properties = getProperties(input);
  // Without a prototype: a field may be called `__proto__`.
  const values = Object.create(null) as Record<string, unknown>;
  for (const name of Object.keys(texts)) {
    const { types, items } = properties.get(name) ?? anything;
    const text = texts[name];
    values[name] = items ? [text].flat().map((one) => coerce(one, items)) : coerce(text, types);
  }
  return values;
}

/** What a schema says of one field: its types, and, where it is a list, those of what is in it. */
interface Property {
  types: Set<unknown>;
  items: Set<unknown> | undefined;
}

const anything: Property = { types: new Set(), items: undefined };
/** A schema is read once. */
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
  // Beyond 2^53 - 1 it would become another number.
  return Math.abs(number) <= Number.MAX_SAFE_INTEGER ? number : value;
}

function getTypes(schema: JsonSchema): Set<unknown> {
  const choices = [schema['anyOf'], schema['oneOf']].flatMap((choice) => (choice ?? []) as JsonSchema[]);
  return new Set([...[schema['type']].flat(), ...choices.flatMap((choice) => [...getTypes(choice)])]);
}
