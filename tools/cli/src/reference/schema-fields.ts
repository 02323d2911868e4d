/** A field of a message, at any depth: `lines[].quantity`. */
export interface Field {
  path: string;
  type: string;
  isRequired: boolean;
  description: string;
}

interface Schema {
  type?: string | string[];
  format?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  additionalProperties?: Schema | boolean;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  description?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  $ref?: string;
  $defs?: Record<string, Schema>;
  'x-sensitive'?: boolean;
}

/** A recursive schema would have endless fields. */
const maxDepth = 6;

/** Lists the fields of a JSON Schema of an object, those of nested objects and lists included. */
export function listFields(schema: Record<string, unknown>): Field[] {
  const root = schema as Schema;
  const resolve = (one: Schema): Schema => {
    const name = /^#\/\$defs\/(.+)$/.exec(one.$ref ?? '')?.[1];
    return name ? { ...root.$defs?.[name], ...one, $ref: undefined } : one;
  };

  function listOf(one: Schema, prefix: string, depth: number): Field[] {
    if (depth > maxDepth) return [];
    const { properties = {}, required = [], allOf = [] } = resolve(one);
    return [
      ...Object.entries(properties).flatMap(([name, raw]) => {
        const field = resolve(raw);
        const path = prefix + name;
        const isRequired = required.includes(name) && field.default === undefined;
        return [{ path, type: describeType(field), isRequired, description: describe(field) }].concat(
          listNested(field, path, depth + 1),
        );
      }),
      ...allOf.flatMap((part) => listOf(part, prefix, depth)),
    ];
  }

  function listNested(field: Schema, path: string, depth: number): Field[] {
    const items = field.items && resolve(field.items);
    if (items) return items.items ? [] : listOf(items, `${path}[].`, depth);
    const variants = [...(field.anyOf ?? []), ...(field.oneOf ?? [])].map(resolve);
    const own = listOf(field, `${path}.`, depth);
    const others = variants.flatMap((one) => listOf(one, `${path}.`, depth));
    return [...own, ...others].filter(
      (one, index, all) => all.findIndex((other) => other.path === one.path) === index,
    );
  }

  function describeType(field: Schema): string {
    if (field.const !== undefined) return JSON.stringify(field.const);
    if (field.enum) return describeChoice(field.enum);
    const variants = field.anyOf ?? field.oneOf;
    if (variants) return [...new Set(variants.map((one) => describeType(resolve(one))))].join(' or ');
    if (field.items) return `list of ${describeType(resolve(field.items))}${describeRange(field, 'Items')}`;
    const type = [field.type ?? 'any'].flat().join(' or ');
    if (type === 'string') return (field.format ?? 'string') + describeRange(field, 'Length');
    return type + (type === 'integer' || type === 'number' ? describeNumbers(field) : '');
  }

  return listOf(root, '', 1);
}

/** Longer lists, such as those of an ISO standard, are in the description of the API. */
const maxChoices = 12;

function describeChoice(values: readonly unknown[]): string {
  const shown = values.slice(0, maxChoices).map((value) => JSON.stringify(value));
  return shown.join(', ') + (values.length > maxChoices ? `, … (${values.length} values)` : '');
}

function describeRange(field: Schema, what: 'Items' | 'Length'): string {
  return formatRange(field[`min${what}`] || undefined, field[`max${what}`]);
}

/** zod gives every integer the limits of a safe one. */
function describeNumbers({ minimum, maximum }: Schema): string {
  const isLimit = (value: number | undefined) =>
    value !== undefined && Math.abs(value) < Number.MAX_SAFE_INTEGER;
  return formatRange(isLimit(minimum) ? minimum : undefined, isLimit(maximum) ? maximum : undefined);
}

function formatRange(least: number | undefined, most: number | undefined): string {
  if (least === undefined) return most === undefined ? '' : `, at most ${most}`;
  return most === undefined ? `, at least ${least}` : `, ${least} to ${most}`;
}

function describe(field: Schema): string {
  return [
    field.description ?? '',
    field['x-sensitive'] ? 'encrypted' : '',
    field.default === undefined ? '' : `default: \`${JSON.stringify(field.default)}\``,
  ]
    .filter(Boolean)
    .join('; ');
}
