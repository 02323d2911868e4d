import fc from 'fast-check';

/** A JSON Schema (draft 2020-12), as `describe()` of a contract and OpenAPI documents contain it. */
export type JsonSchema = Record<string, unknown>;

/** Values that exist in the service under test, by the name of their field. */
export type KnownValues = Readonly<Record<string, readonly unknown[]>>;

export interface GenerationOptions {
  /** Used for most fields of that name. */
  known: KnownValues;
  /** Only required fields, always with a known value if there is one. */
  plain: boolean;
}

/** Generates objects with these fields. */
export function generateRecord(
  fields: { name: string; required: boolean; schema: JsonSchema }[],
  options: GenerationOptions,
): fc.Arbitrary<Record<string, unknown>> {
  const used = fields.filter(({ required }) => required || !options.plain);
  return fc.record(
    Object.fromEntries(used.map(({ name, schema }) => [name, generateValue(schema, options, name)])),
    { requiredKeys: used.filter(({ required }) => required).map(({ name }) => name), noNullPrototype: true },
  );
}

/**
 * Generates values that fit a JSON Schema, boundary values included. Refinements that the schema cannot express are not met;
 * texts are printable.
 * @param name name of the field
 */
export function generateValue(
  schema: JsonSchema,
  options: GenerationOptions,
  name = '',
): fc.Arbitrary<unknown> {
  const values = Object.hasOwn(options.known, name) ? options.known[name]! : [];
  if (values.length === 0) return generateBySchema(schema, options);
  const value = fc.constantFrom(...values);
  if (options.plain) return value;
  return fc.oneof(
    { weight: 4, arbitrary: value },
    { weight: 1, arbitrary: generateBySchema(schema, options) },
  );
}

function generateBySchema(schema: JsonSchema, options: GenerationOptions): fc.Arbitrary<unknown> {
  const { type, properties, enum: choices, const: only, additionalProperties: others } = schema;
  const alternatives = (schema['anyOf'] ?? schema['oneOf']) as JsonSchema[] | undefined;
  if (only !== undefined) return fc.constant(only);
  if (choices) return fc.constantFrom(...(choices as unknown[]));
  if (alternatives) return fc.oneof(...alternatives.map((one) => generateBySchema(one, options)));
  if (type === 'string') return generateText(schema);
  if (type === 'integer' || type === 'number') return fc.integer(getBounds(schema));
  if (type === 'boolean') return fc.boolean();
  if (type === 'null') return fc.constant(null);
  if (type === 'array') return generateArray(schema, options);
  if (properties) {
    const required = (schema['required'] ?? []) as string[];
    const fields = Object.entries(properties as Record<string, JsonSchema>);
    return generateRecord(
      fields.map(([name, one]) => ({ name, schema: one, required: required.includes(name) })),
      options,
    );
  }
  if (others && typeof others === 'object')
    return fc.dictionary(fc.string({ maxLength: 10 }), generateBySchema(others as JsonSchema, options));
  return type === 'object' ? fc.constant({}) : fc.jsonValue();
}

function generateArray(
  { items, minItems = 0, maxItems = 3 }: JsonSchema,
  options: GenerationOptions,
): fc.Arbitrary<unknown[]> {
  const minLength = minItems as number;
  const maxLength = Math.max(minLength, Math.min(maxItems as number, options.plain ? minLength : 3));
  return fc.array(generateBySchema((items ?? {}) as JsonSchema, options), { minLength, maxLength });
}

function getBounds(schema: JsonSchema): { min: number; max: number } {
  const above = schema['exclusiveMinimum'] as number | undefined;
  const min = (schema['minimum'] as number | undefined) ?? (above === undefined ? -1_000 : above + 1);
  return { min, max: (schema['maximum'] as number | undefined) ?? Number.MAX_SAFE_INTEGER };
}

/**
 * A printable character: ASCII, or one of several scripts, of two code points, outside of the basic plane, or with a special
 * case mapping. The units of fast-check take a second of CPU time.
 */
const character: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...[
        '가',
        '힣',
        '한',
        '中',
        '日',
        'ア',
        'ﾝ',
        'é',
        'ß',
        'ẞ',
        'İ',
        'ı',
        'ſ',
        'Ω',
        'ά',
        'Я',
        'א',
        'ش',
        'ﷺ',
        'ก็',
      ],
      ...[
        'नि',
        'e\u0301',
        'ᄒ\u1161\u11ab',
        '𝕏',
        '𠮷',
        '👩‍👩‍👧',
        '🇰🇷',
        '❤️',
        '¼',
        '²',
        '\u00a0',
        '\u3000',
        '‘',
        '…',
        '№',
        '￼',
      ],
    ),
  },
);

const anyCharacter = fc.integer({ min: 0, max: 0x10ffff }).map((code) => String.fromCodePoint(code));

function generateText(schema: JsonSchema): fc.Arbitrary<string> {
  const { format, pattern, minLength = 0, maxLength = 60 } = schema as Record<string, never>;
  if (format === 'uuid') return fc.uuid();
  if (format === 'date-time')
    return fc
      .date({ noInvalidDate: true, min: new Date('0001-01-01'), max: new Date('9999-12-31') })
      .map((date) => date.toISOString());
  if (format === 'uri') return fc.webUrl();
  if (format === 'email') {
    const fits = new RegExp(pattern ?? '');
    return fc.emailAddress().filter((one) => fits.test(one));
  }
  const size = { minLength, maxLength: Math.max(minLength, Math.min(maxLength, 60)) };
  if (pattern === undefined) return fc.string({ ...size, unit: character });
  return fc
    .stringMatching(new RegExp(pattern))
    .filter(({ length }) => length >= minLength && length <= Number(schema['maxLength'] ?? Infinity));
}

/** Values that programs often treat wrongly. */
export const junk: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue({ maxDepth: 2, stringUnit: character }),
  fc.string({ maxLength: 300, unit: anyCharacter }).map((text) => text.toWellFormed()),
  fc.constantFrom<unknown>(
    ...['', ' ', '\u0000', '\u202e', '\ufeff', "' OR 1=1 --", '{{7*7}}', '../../etc/passwd', '%', '_', '\\'],
    ...[0, -1, 0.5, 1e21, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 31, 2 ** 63, -0],
    ...[null, true, [], {}, [[]], { $gt: '' }, [null], 'null', '0', 'NaN', 'Infinity', '1e309'],
  ),
);

type Owner = Record<string, unknown>;

/** Lists every field of a value, at every depth. */
function listPlaces(value: unknown): { owner: Owner; key: string }[] {
  if (value === null || typeof value !== 'object') return [];
  const owner = value as Owner;
  return Object.keys(owner).flatMap((key) => [{ owner, key }, ...listPlaces(owner[key])]);
}

/** Works for `__proto__` too, unlike an assignment. */
const define = (owner: Owner, key: string, value: unknown) =>
  Object.defineProperty(owner, key, { value, enumerable: true, configurable: true, writable: true });

/** A change of one field of a value. */
export interface Change {
  how: 'drop' | 'add' | 'replace';
  /** Selects the field. */
  at: number;
  /** The name of an added field. */
  name: string;
  value: unknown;
}

/** Generates changes; most of them make a value invalid. @param names of added fields */
export const generateChange = (names: readonly string[]): fc.Arbitrary<Change> =>
  fc.record({
    how: fc.constantFrom('drop', 'add', 'replace', 'replace'),
    at: fc.nat(),
    name: fc.oneof(fc.constantFrom(...names), fc.string({ minLength: 1, maxLength: 10 })),
    value: junk,
  });

/** Changes one field of a value, in place; nothing if it has no fields. */
export function applyChange(value: unknown, { how, at, name, value: other }: Change): void {
  const places = listPlaces(value);
  const place = places[at % places.length];
  if (!place) return;
  if (how === 'drop') delete place.owner[place.key];
  else define(place.owner, how === 'add' ? name : place.key, other);
}
