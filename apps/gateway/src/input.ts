import { Rejection, platformRejection, type FieldError, type JsonSchema } from '@jogakbo/contract';
import type { Route } from './routes.ts';

/** What a request brings, before anything is known of its meaning. */
export interface Brought {
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
export function inputOf({ http, contract }: Route, brought: Brought): Record<string, unknown> {
  const { parameters, query, ifMatch } = brought;
  const hasBody = http.method !== 'GET' && http.method !== 'DELETE';
  const given = read(parameters, contract.input);
  if (brought.body === undefined && http.ifMatch === undefined && isEmpty(query)) return given;
  const body = bodyFields(brought.body);
  const fields = hasBody ? body : read(query, contract.input);

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
    ...(http.ifMatch && { [http.ifMatch]: versionOf(ifMatch) }),
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
  mustBeSound(body);
  return body as Record<string, unknown>;
}

/** @throws Rejection for what could exhaust the stack of whoever reads it, and for texts that no database takes */
export function mustBeSound(body: unknown): void {
  if (isDeeperThan(deepest, body)) throw platformRejection('invalid', 'the body is nested too deeply');
  const field = unsoundText(body, '');
  if (field === undefined) return;
  throw platformRejection('invalid', 'a text holds what is no character', [
    { path: field, message: 'must not hold NUL or half a surrogate pair' },
  ]);
}

/** The path of the first text that cannot be kept as text. */
function unsoundText(value: unknown, path: string): string | undefined {
  if (typeof value === 'string') return isSound(value) ? undefined : path;
  if (value === null || typeof value !== 'object') return undefined;
  for (const [name, child] of Object.entries(value)) {
    const inside = path ? `${path}.${name}` : name;
    if (!isSound(name)) return path;
    const found = unsoundText(child, inside);
    if (found !== undefined) return found;
  }
  return undefined;
}

const isSound = (text: string): boolean => !text.includes('\0') && text.isWellFormed();

function isDeeperThan(depth: number, value: unknown): boolean {
  if (value === null || typeof value !== 'object') return false;
  return depth === 0 || Object.values(value).some((child) => isDeeperThan(depth - 1, child));
}

/** Texts of a URL as the schema wants them; those that do not fit stay texts, for the contract to name. */
function read(texts: Record<string, unknown>, input: JsonSchema): Record<string, unknown> {
  const properties = propertiesOf(input);
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

function propertiesOf(input: JsonSchema): Map<string, Property> {
  let properties = known.get(input);
  if (!properties) {
    const schemas = Object.entries((input['properties'] ?? {}) as Record<string, JsonSchema>);
    properties = new Map(
      schemas.map(([name, schema]) => {
        const [types, items] = [typesOf(schema), schema['items'] as JsonSchema | undefined];
        return [name, { types, items: types.has('array') && items ? typesOf(items) : undefined }];
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
  return isNumber && /^-?\d{1,15}(\.\d{1,15})?$/.test(value) ? Number(value) : value;
}

function typesOf(schema: JsonSchema): Set<unknown> {
  const choices = [schema['anyOf'], schema['oneOf']].flatMap((choice) => (choice ?? []) as JsonSchema[]);
  return new Set([...[schema['type']].flat(), ...choices.flatMap((choice) => [...typesOf(choice)])]);
}

/** @param ifMatch `"3"`, or an ETag as this gateway gives them: `"3.ko"` */
function versionOf(ifMatch: string | undefined): number {
  if (!ifMatch) {
    throw new Rejection(
      'precondition-required',
      428,
      'send If-Match with the ETag of what you read, so that nobody else’s change is lost',
    );
  }
  const version = /^"(\d{1,15})(\.[a-z]{2})?"$/.exec(ifMatch.trim())?.[1];
  if (version) return Number(version);
  throw platformRejection('invalid', 'If-Match must be one ETag, as it was given', [
    { path: 'If-Match', message: 'must look like "3" or "3.ko"' },
  ]);
}
