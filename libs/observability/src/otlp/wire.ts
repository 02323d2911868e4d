// Reads the values that all signals of OTLP have in common. Trusts nothing: ids, times and numbers are checked, texts and lists
// are cut.

/** A value of an attribute, as JSON. Bytes are base64. */
export type AttributeValue =
  string | number | boolean | null | AttributeValue[] | { [key: string]: AttributeValue };

export type Attributes = Record<string, AttributeValue>;

/** The instance that exported something. */
export interface Origin {
  service: string;
  instance?: string;
  version?: string;
}

/** The body is not what its content type says, or nested too deeply. */
export class UnreadableTelemetry extends Error {
  override readonly name = 'UnreadableTelemetry';
}

export type OtlpEncoding = 'protobuf' | 'json';

export interface WireValue {
  stringValue?: string;
  boolValue?: boolean;
  intValue?: number | string | { toString(): string };
  doubleValue?: number | string;
  arrayValue?: { values?: WireValue[] };
  kvlistValue?: { values?: WireAttribute[] };
  bytesValue?: Uint8Array | string;
}
export interface WireAttribute {
  key?: string;
  value?: WireValue;
}
export type WireId = Uint8Array | string | undefined;
export type WireNumber = number | string | { toString(): string } | null | undefined;
export interface WireResource {
  attributes?: WireAttribute[];
}

/** Attributes, events, links, buckets and exemplars of one record, and characters of one text: more are left out. */
export const maxEntries = 128;
const maxTextLength = 8_192;
const maxDepth = 8;

/** A message type of protobufjs. */
interface MessageType {
  decode(bytes: Uint8Array): object;
}

/** @throws UnreadableTelemetry */
export function readRequest(body: Buffer, encoding: OtlpEncoding, type: MessageType): object {
  try {
    const request: unknown = encoding === 'json' ? JSON.parse(body.toString('utf8')) : type.decode(body);
    if (typeof request !== 'object' || request === null || Array.isArray(request))
      throw new SyntaxError('it is not an object');
    return request;
  } catch (error) {
    throw new UnreadableTelemetry(`the body is not ${encoding}: ${(error as Error).message}`);
  }
}

/** Untrusted JSON may have any value in the place of a list or of its items. */
export const toList = <T extends object>(value: T[] | undefined): T[] =>
  Array.isArray(value) ? value.filter((item) => typeof item === 'object' && item !== null) : [];

function toOrigin(resource: WireResource | undefined): Origin {
  const attributes = toAttributes(resource?.attributes);
  const instance = attributes['service.instance.id'];
  const version = attributes['service.version'];
  return {
    service: toText(attributes['service.name']) || 'unknown',
    ...(instance !== undefined && { instance: toText(instance) }),
    ...(version !== undefined && { version: toText(version) }),
  };
}

/**
 * Every record of an export with its origin: all signals are lists within scopes within resources.
 * @param fields the names of these lists, from the outermost
 */
export function* listRecords<Record extends object>(
  request: object,
  [resources, scopes, records]: readonly [string, string, string],
): Generator<{ record: Record; origin: Origin }> {
  const getList = (from: object, field: string) => toList((from as { [name: string]: object[] })[field]);
  for (const one of getList(request, resources)) {
    const origin = toOrigin((one as { resource?: WireResource }).resource);
    for (const scope of getList(one, scopes))
      for (const record of getList(scope, records)) yield { record: record as Record, origin };
  }
}

/** OTLP's JSON has ids in hexadecimal; protobuf has bytes. Ids of zeros are invalid. */
export function toId(value: WireId, digits: 16 | 32): string | undefined {
  const text = value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
  if (typeof text !== 'string' || text.length !== digits || !/^[0-9a-f]+$/i.test(text)) return undefined;
  return /^0+$/.test(text) ? undefined : text.toLowerCase();
}

/** Nanoseconds since 1970 exceed exact numbers: JSON has them as texts, protobuf as longs. Microseconds stay exact. */
export function toMilliseconds(value: WireNumber): number | undefined {
  const text = value === undefined || value === null ? '' : String(value);
  if (!/^\d{1,19}$/.test(text) || /^0+$/.test(text)) return undefined;
  return Number(BigInt(text) / 1_000n) / 1_000;
}

/** PostgreSQL stores no U+0000. */
export const toText = (value: unknown): string =>
  (typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value))
    .slice(0, maxTextLength)
    .replaceAll('\0', '\uFFFD');

export function toAttributes(list: WireAttribute[] | undefined, depth = 0): Attributes {
  const attributes: Attributes = Object.create(null) as Attributes;
  for (const { key, value } of toList(list).slice(0, maxEntries))
    if (typeof key === 'string' && key) attributes[toText(key).slice(0, 256)] = toValue(value, depth);
  return { ...attributes };
}

export function toValue(value: WireValue | undefined, depth = 0): AttributeValue {
  if (typeof value !== 'object' || value === null || depth > maxDepth) return null;
  // Decoded messages inherit the defaults of the fields that are not set.
  const { stringValue, boolValue, intValue, doubleValue, arrayValue, kvlistValue, bytesValue }: WireValue =
    Object.fromEntries(Object.entries(value).filter(([, one]) => one !== null));
  if (typeof stringValue === 'string') return toText(stringValue);
  if (typeof boolValue === 'boolean') return boolValue;
  if (intValue !== undefined) return toNumberOrText(String(intValue));
  if (doubleValue !== undefined) return toNumberOrText(String(doubleValue));
  if (arrayValue)
    return toList(arrayValue.values)
      .slice(0, maxEntries)
      .map((item) => toValue(item, depth + 1));
  if (kvlistValue) return toAttributes(kvlistValue.values, depth + 1);
  if (bytesValue instanceof Uint8Array) return Buffer.from(bytesValue).toString('base64');
  return bytesValue === undefined ? null : toText(bytesValue);
}

/** Integers beyond 2^53 and values that JSON lacks stay texts. */
function toNumberOrText(text: string): number | string {
  const number = Number(text);
  if (!Number.isFinite(number)) return text.slice(0, maxTextLength);
  return Number.isInteger(number) && !Number.isSafeInteger(number) ? text : number;
}

/** Integers beyond 2^53 lose digits. @returns undefined for what is no finite number */
export function toNumber(value: WireNumber): number | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  const number = Number(String(value));
  return Number.isFinite(number) ? number : undefined;
}
