import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { jsonSchema } from '../description.ts';
import { compareSchemas, type SchemaComparison } from './compare-schemas.ts';

/** `path: problem` of each problem. */
const compare = (sent: object | boolean, accepted: object | boolean, options?: SchemaComparison): string[] =>
  compareSchemas(sent as never, accepted as never, options).map(({ path, problem }) => `${path}: ${problem}`);
const input = (schema: z.ZodType) => jsonSchema(schema, 'input');
const output = (schema: z.ZodType) => jsonSchema(schema, 'output');
const text = { type: 'string' };
const object = (properties: object, required: string[] = [], more: object = {}) => ({
  ...{ type: 'object', properties, required, additionalProperties: false },
  ...more,
});

describe('an input', () => {
  const before = input(z.strictObject({ title: z.string().max(10), pages: z.int().min(1).optional() }));

  it.each<[string, z.ZodType]>([
    [
      'adds an optional field',
      z.strictObject({
        title: z.string().max(10),
        pages: z.int().min(1).optional(),
        isbn: z.string().optional(),
      }),
    ],
    [
      'adds a field with a default',
      z.strictObject({
        title: z.string().max(10),
        pages: z.int().min(1).optional(),
        isbn: z.string().default(''),
      }),
    ],
    [
      'makes a field optional',
      z.strictObject({ title: z.string().max(10).optional(), pages: z.int().min(1).optional() }),
    ],
    [
      'makes a field nullable',
      z.strictObject({ title: z.string().max(10).nullable(), pages: z.int().min(1).optional() }),
    ],
    ['accepts longer texts', z.strictObject({ title: z.string().max(20), pages: z.int().min(1).optional() })],
    [
      'accepts smaller numbers',
      z.strictObject({ title: z.string().max(10), pages: z.int().min(0).optional() }),
    ],
    [
      'accepts numbers of another type too',
      z.strictObject({ title: z.string().max(10), pages: z.union([z.number(), z.boolean()]).optional() }),
    ],
    ['ignores unknown fields', z.object({ title: z.string() })],
    ['accepts anything', z.unknown()],
  ])('stays compatible if it %s', (_, after) => {
    expect(compare(before, input(after))).toEqual([]);
  });

  it.each<[string, z.ZodType, string[]]>([
    [
      'requires a new field',
      z.strictObject({ title: z.string().max(10), pages: z.int().min(1).optional(), isbn: z.string() }),
      ['isbn: is not sent, but is required'],
    ],
    [
      'requires an optional field',
      z.strictObject({ title: z.string().max(10), pages: z.int().min(1) }),
      ['pages: can be missing, but is required'],
    ],
    [
      'removes a field',
      z.strictObject({ title: z.string() }),
      ['pages: is sent, but such a field is not accepted'],
    ],
    [
      'accepts only shorter texts and larger numbers',
      z.strictObject({ title: z.string().max(5), pages: z.int().min(2).optional() }),
      [
        'title: can have up to 10 characters, but at most 5 are accepted',
        'pages: can be 1, but only numbers from 2 are accepted',
      ],
    ],
    [
      'requires a format and a minimum length',
      z.strictObject({ title: z.iso.date().min(2), pages: z.int().optional() }),
      [
        'title: can have 0 characters, but at least 2 are required',
        'title: can be any text, but only the format date is accepted',
        expect.stringMatching(/^title: can be any text, but only texts that match /) as never,
      ],
    ],
    [
      'changes a type',
      z.strictObject({ title: z.int(), pages: z.array(z.int()).optional() }),
      ['title: can be a text, which is not accepted', 'pages: can be a number, which is not accepted'],
    ],
    [
      'lists the values',
      z.strictObject({ title: z.enum(['a', 'b']), pages: z.literal([1, 2]).optional() }),
      [
        'title: can have other values than "a", "b", which are not accepted',
        'pages: can have other values than 1, 2, which are not accepted',
      ],
    ],
  ])('breaks its callers if it %s', (_, after, problems) => {
    expect(compare(before, input(after))).toEqual(problems);
  });
});

describe('an output', () => {
  const status = z.enum(['open', 'paid']);
  const known = input(
    z.object({ status, note: z.string().optional(), lines: z.array(z.object({ id: z.string() })) }),
  );
  const line = z.object({ id: z.string() });
  const sent = (fields: z.ZodRawShape) => output(z.object(fields));
  const read = { keepsFields: true };

  it('can add fields, require optional ones, and send fewer values', () => {
    const more = { id: z.string(), position: z.int() };
    const after = {
      status: z.literal('open'),
      note: z.string(),
      lines: z.array(z.object(more)).min(1),
      total: z.int(),
    };
    expect(compare(sent(after), known, read)).toEqual([]);
    // The contract of a provider lists all fields, although its readers ignore the others.
    const provider = output(z.object({ status, note: z.string().optional(), lines: z.array(line) }));
    expect(compare(sent(after), provider, { ...read, ignoresUnknownFields: true })).toEqual([]);
    expect(compare(sent(after), provider, read)).toContain(
      'total: is sent, but such a field is not accepted',
    );
  });

  it.each<[string, z.ZodRawShape, string[]]>([
    [
      'a new value',
      { status: z.enum(['open', 'paid', 'lost']), note: z.string(), lines: z.array(line) },
      ['status: can be "lost", which is not accepted'],
    ],
    [
      'null',
      { status: status.nullable(), note: z.string(), lines: z.array(line) },
      ['status: can be null, which is not accepted'],
    ],
    [
      'a required field that can be missing',
      { status: status.optional(), note: z.string(), lines: z.array(line) },
      ['status: can be missing, but is required'],
    ],
    ['no optional field', { status, lines: z.array(line) }, ['note: is no longer sent']],
    [
      'no required field',
      { note: z.string(), lines: z.array(line) },
      ['status: is not sent, but is required'],
    ],
    [
      'items without a field',
      { status, note: z.string(), lines: z.array(z.object({ key: z.string() })) },
      ['lines.*.id: is not sent, but is required'],
    ],
  ])('breaks its readers if it has %s', (_, after, problems) => {
    expect(compare(sent(after), known, read)).toEqual(problems);
  });
});

describe('alternatives', () => {
  const created = z.strictObject({ type: z.literal('created'), id: z.string() });
  const deleted = z.strictObject({ type: z.literal('deleted'), reason: z.string().optional() });
  const moved = z.strictObject({ type: z.literal('moved') });

  it('can be added where they are accepted, and removed where they are sent', () => {
    const few = z.discriminatedUnion('type', [created, deleted]);
    const many = z.discriminatedUnion('type', [created, deleted, moved]);
    expect(compare(output(few), input(many))).toEqual([]);
    expect(compare(output(many), input(few))).toEqual(['type: can be "moved", which is not accepted']);
  });

  it('are compared with the closest one', () => {
    const stricter = z.strictObject({ type: z.literal('deleted'), reason: z.string() });
    expect(compare(output(z.union([created, deleted])), input(z.union([created, stricter])))).toEqual([
      'reason: can be missing, but is required',
    ]);
  });

  it('each accept a part of the types and values', () => {
    expect(compare(output(z.enum(['a', 'b'])), input(z.union([z.literal('a'), z.literal('b')])))).toEqual([]);
    expect(compare({ type: ['string', 'null'] }, { anyOf: [text, { type: 'null' }] })).toEqual([]);
    expect(compare({ type: ['string', 'null'] }, { anyOf: [{ type: 'null' }, { type: 'number' }] })).toEqual([
      ': can be a text, which is not accepted',
    ]);
  });

  it('of oneOf must exclude each other', () => {
    const options = [
      { type: 'string', maxLength: 5 },
      { type: 'string', maxLength: 9 },
    ];
    expect(compare({ type: 'string', maxLength: 3 }, { anyOf: options })).toEqual([]);
    expect(compare({ type: 'string', maxLength: 3 }, { oneOf: options })).toEqual([
      ': cannot be decided: whether it fits only one of the accepted alternatives',
    ]);
    expect(compare({ const: 7 }, { oneOf: [text, { type: 'integer' }] })).toEqual([]);
  });
});

describe('a schema that refers to itself', () => {
  const node = (label: object) =>
    object({ label, next: { anyOf: [{ $ref: '#' }, { type: 'null' }] } }, ['label']);

  it('is compared at a limited depth', () => {
    expect(compare(node({ type: 'string', maxLength: 3 }), node(text))).toEqual([]);
    expect(compare(node(text), node({ type: 'string', maxLength: 3 }))).toEqual([
      'label: can have any number of characters, but at most 3 are accepted',
      'next.label: can have any number of characters, but at most 3 are accepted',
    ]);
  });

  it('through definitions too', () => {
    const tree = (label: object) => ({
      $ref: '#/$defs/tree',
      $defs: { tree: object({ label, children: { type: 'array', items: { $ref: '#/$defs/tree' } } }) },
    });
    expect(compare(tree({ const: 'a' }), tree(text))).toEqual([]);
    expect(compare(tree(text), tree({ const: 'a' }))).toEqual([
      'label: can have other values than "a", which are not accepted',
    ]);
  });
});

it('descriptions, defaults and keywords of vendors do not matter', () => {
  const before = object({ title: text }, ['title']);
  const after = object({ title: { ...text, title: 'Title', description: 'x', default: '', 'x-label': 1 } }, [
    'title',
  ]);
  expect(compare(before, after)).toEqual([]);
  expect(compare(after, before)).toEqual([]);
});

it('fields with the names of keywords are compared', () => {
  expect(compare(object({ title: text, 'x-a': text }), object({ 'x-a': text }))).toEqual([
    'title: is sent, but such a field is not accepted',
  ]);
});

it('maps, arrays and sizes are compared', () => {
  const map = (value: z.ZodType) => z.record(z.string().max(5), value);
  expect(compare(output(map(z.int())), input(map(z.number())))).toEqual([]);
  expect(compare(output(map(z.number())), input(map(z.int().min(0))))).toEqual([
    '*: can be a fraction, but only integers are accepted',
    '*: can be any small number, but only numbers from 0 are accepted',
    '*: can be any large number, but only numbers up to 9007199254740991 are accepted',
  ]);
  expect(compare(output(z.array(z.string()).max(3)), input(z.array(z.string()).min(1).max(2)))).toEqual([
    ': can have 0 items, but at least 1 are required',
    ': can have up to 3 items, but at most 2 are accepted',
  ]);
  expect(compare(output(z.tuple([z.string(), z.int()])), input(z.tuple([z.string(), z.string()])))).toEqual([
    '1: can be a number, which is not accepted',
  ]);
  expect(compare(output(z.record(z.string(), z.int())), input(z.strictObject({ a: z.int() })))).toEqual([
    'a: can be missing, but is required',
    ': can have further fields, which are not accepted',
  ]);
});
