import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { service } from './declare-service.ts';
import { describe as describeContract } from './description.ts';
import { replaceFields, sensitive } from './sensitive.ts';

const secret = sensitive(z.string().min(1).max(9));
const plain = { input: z.strictObject({ id: z.string() }), output: z.object({ n: z.int() }) };
const things = () => service('things');

describe('a sensitive field', () => {
  it.each<[string, { input: z.ZodType; output: z.ZodType }]>([
    ['in the input', { ...plain, input: z.strictObject({ secret }) }],
    ['in the output', { ...plain, output: z.object({ secret }) }],
    ['in a list', { ...plain, input: z.strictObject({ all: z.array(z.strictObject({ secret })) }) }],
    ['in one of several shapes', { ...plain, output: z.union([z.null(), z.object({ secret })]) }],
    ['optional', { ...plain, input: z.strictObject({ secret: secret.optional() }) }],
    ['with a description', { ...plain, input: z.strictObject({ secret: secret.nullable().describe('x') }) }],
    ['that is an object', { ...plain, output: z.object({ at: sensitive(z.object({ city: z.string() })) }) }],
  ])('makes a request sensitive: %s', (_, spec) => {
    const contract = things().command('make', spec);
    expect(contract.sensitive).toBe(true);
    expect(contract.idempotency).toBe('none');
    expect(things().query('get', spec).sensitive).toBe(true);
  });

  it('does not affect other requests and events', () => {
    expect(things().command('make', plain).sensitive).toBe(false);
    expect(things().event('made', z.object({ id: z.string() })).sensitiveFields).toEqual([]);
  });

  it('is announced, with its request', () => {
    const all = things();
    all.command('make', { ...plain, input: z.strictObject({ secret }) });
    all.query('get', plain);
    const [make, get] = describeContract(all).requests;
    expect(make).toMatchObject({
      sensitive: true,
      input: { properties: { secret: { 'x-sensitive': true } } },
    });
    expect(get).not.toHaveProperty('sensitive');
  });

  it('is found in an event, and replaced there', () => {
    const made = things().event(
      'made',
      z.object({
        id: z.string(),
        card: z.object({ secret }),
        all: z.array(z.object({ secret: secret.optional() })),
      }),
    );
    expect(made.sensitiveFields).toEqual([
      ['card', 'secret'],
      ['all', '*', 'secret'],
    ]);
    const data = { id: 'a', card: { secret: 'b' }, all: [{ secret: 'c' }, {}] };
    expect(replaceFields(data, made.sensitiveFields, (text) => `<${text}>`)).toEqual({
      ...{ id: 'a', card: { secret: '<b>' } },
      all: [{ secret: '<c>' }, {}],
    });
    expect(data.card.secret).toBe('b');
  });

  it('of an event must be a string at a fixed path', () => {
    expect(() => things().event('made', z.object({ at: sensitive(z.object({})) }))).toThrow(
      'must be a string',
    );
    expect(() => things().event('made', z.object({ n: sensitive(z.int()) }))).toThrow('must be a string');
    expect(() => things().event('made', z.record(z.string(), secret))).toThrow('fixed shape');
    expect(() => things().event('made', z.tuple([secret]))).toThrow('fixed shape');
  });
});
