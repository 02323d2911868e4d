import { describe, expect, it } from '@jest/globals';
import { describe as describeContract, Id, service, VersionCondition } from '@jogakbo/contract';
import { z } from 'zod';
import { buildInput, type RequestParts } from './input.ts';
import { RouteTable, type Route } from './routes.ts';

const things = service('things');
const shape = {
  id: z.int(),
  count: z.int().optional(),
  price: z.number().nullable().optional(),
  sold: z.boolean().default(false),
  tags: z.array(z.int()).optional(),
  text: z.string().optional(),
  either: z.union([z.int(), z.literal('all')]).optional(),
  version: VersionCondition.optional(),
  owner: Id.optional(),
  lines: z.array(z.strictObject({ thing: Id, note: z.string() })).optional(),
  any: z.union([z.literal('all'), Id]).optional(),
};
things.query('get', {
  input: z.strictObject(shape),
  output: z.object({}),
  http: 'GET /things/{id}',
  access: 'public',
});
things.command('change', {
  input: z.strictObject(shape),
  http: { route: 'PATCH /things/{id}', ifMatch: 'version' },
  access: 'public',
});
const [get, change] = new RouteTable([describeContract(things)]).routes as [Route, Route];

const nothing: RequestParts = { parameters: { id: '7' }, query: {}, body: undefined, ifMatch: undefined };
const query = (fields: Record<string, unknown>) => buildInput(get, { ...nothing, query: fields });
const body = (fields: unknown, ifMatch = '"3"') => buildInput(change, { ...nothing, body: fields, ifMatch });

describe('the input of a request', () => {
  it.each([
    [{ count: '12' }, { count: 12 }],
    [{ count: '-1' }, { count: -1 }],
    [{ price: '1.50' }, { price: 1.5 }],
    [{ sold: 'true' }, { sold: true }],
    [{ text: '12' }, { text: '12' }],
    [{ text: 'true' }, { text: 'true' }],
    [{ tags: '1' }, { tags: [1] }],
    [{ tags: ['1', 'x'] }, { tags: [1, 'x'] }],
    [{ count: '9007199254740991' }, { count: Number.MAX_SAFE_INTEGER }],
    [{ count: '-9007199254740991' }, { count: -Number.MAX_SAFE_INTEGER }],
    [{ either: '5' }, { either: 5 }],
    [{ either: 'all' }, { either: 'all' }],
    [{ unknown: '1' }, { unknown: '1' }],
  ])('converts the query %j by the schema', (given, expected) => {
    expect(query(given)).toEqual({ id: 7, ...expected });
  });

  it.each(['', ' ', '1e3', '0x10', '1,5', 'Infinity', '١', '9007199254740992', '99999999999999999'])(
    'passes %j on unchanged, for the service to reject',
    (count) => {
      expect(query({ count })).toEqual({ id: 7, count });
    },
  );

  it('is the unchanged body plus the version from If-Match', () => {
    expect(body({ count: '12' })).toEqual({ id: 7, count: '12', version: 3 });
    expect(body({}, '"12.ko"')).toEqual({ id: 7, version: 12 });
    expect(body(undefined)).toEqual({ id: 7, version: 3 });
  });

  it('reports fields that are duplicate or misplaced', () => {
    const at = (path: string) => expect.objectContaining({ errors: [expect.objectContaining({ path })] });
    expect(() => body({ id: 8 })).toThrow(at('id'));
    expect(() => body({ version: 8 })).toThrow(at('version'));
    expect(() => query({ id: '8' })).toThrow(at('id'));
    expect(() => buildInput(get, { ...nothing, body: { a: 1 } })).toThrow(at('a'));
    expect(() => buildInput(change, { ...nothing, query: { a: '1' }, ifMatch: '"3"' })).toThrow(at('a'));
  });

  it('is safe from prototype pollution', () => {
    const poisoned = query(JSON.parse('{"__proto__":"x","constructor":"1"}') as Record<string, unknown>);
    expect(Object.keys(poisoned)).toEqual(expect.arrayContaining(['__proto__', 'constructor']));
    expect(Object.getPrototypeOf(poisoned)).toBe(Object.prototype);
  });

  it.each([[[]], ['text'], [1], [null]])('rejects %j as a body', (value) => {
    expect(() => body(value)).toThrow('JSON object');
  });

  it('rejects a body that is nested too deeply', () => {
    const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) });
    expect(() => body({ text: nested(30) })).not.toThrow();
    expect(() => body({ text: nested(40) })).toThrow('nested');
  });

  it('takes the version condition from If-Match', () => {
    expect(body({}, '*')).toEqual({ id: 7, version: '*' });
    expect(body({}, '"3", "4"')).toEqual({ id: 7, version: [3, 4] });
    expect(() => body({}, '3')).toThrow(expect.objectContaining({ status: 400, code: 'invalid' }));
  });

  it('is normalized: texts are in NFC', () => {
    const decomposed = '각'.normalize('NFD');
    const [text, inside] = [decomposed, [{ a: decomposed }]];
    expect(body({ text, inside })).toMatchObject({ text: '각', inside: [{ a: '각' }] });
  });

  it('is normalized: only values that the contract declares as ids are in lower case', () => {
    const capitals = '0190A5A0-0000-7000-8000-00000000000F';
    const lower = capitals.toLowerCase();
    const given = {
      owner: capitals,
      text: capitals,
      lines: [{ thing: capitals, note: capitals }],
      any: capitals,
    };
    expect(body(given)).toMatchObject({
      owner: lower,
      text: capitals,
      lines: [{ thing: lower, note: capitals }],
      any: lower,
    });
    expect(query({ owner: capitals })).toMatchObject({ owner: lower });
    expect(body({ owner: 'NOT-AN-ID' })).toMatchObject({ owner: 'NOT-AN-ID' });
  });

  it('requires If-Match', () => {
    expect(() => body({}, '')).toThrow(expect.objectContaining({ status: 428 }));
  });
});
