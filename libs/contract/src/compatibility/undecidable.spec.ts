import { describe, expect, it } from '@jest/globals';
import { compareSchemas } from './compare-schemas.ts';

const compare = (sent: object, accepted: object) => compareSchemas(sent as never, accepted as never);
const text = { type: 'string' };
const object = (properties: object) => ({ type: 'object', properties, additionalProperties: false });

describe('what cannot be decided', () => {
  const undecided = (sent: object, accepted: object): boolean[] =>
    compareSchemas(sent as never, accepted as never).map(({ isUndecided = false }) => isUndecided);

  it.each<[string, object, object]>([
    ['another pattern', { type: 'string', pattern: '^a' }, { type: 'string', pattern: '^[ab]' }],
    ['values and a pattern', { enum: ['a'] }, { type: 'string', pattern: '^a' }],
    ['an unknown keyword that is accepted', text, { type: 'string', startsWith: 'a' }],
    ['an unknown keyword that is sent', { type: 'string', nullable: true }, { type: 'string', maxLength: 5 }],
    ['a condition', object({ a: text }), { if: { required: ['a'] }, then: { required: ['b'] } }],
    ['another negation', { type: 'string', not: { const: 'a' } }, { type: 'string', not: { const: 'b' } }],
    ['a reference to nothing', { $ref: '#/$defs/none' }, text],
    ['a reference to another document', text, { $ref: 'https://example.com/schema' }],
    ['an unknown type', { type: 'any' }, text],
    ['fractions of steps', { type: 'number', multipleOf: 0.2 }, { type: 'number', multipleOf: 0.1 }],
  ])('breaks: %s', (_, sent, accepted) => {
    expect(undecided(sent, accepted)).toContain(true);
  });

  it('does not matter where both are equal', () => {
    const schema = { type: 'string', pattern: '^a', not: { const: 'ab' }, startsWith: 'a' };
    expect(compare(schema, schema)).toEqual([]);
    expect(compare(object({ a: schema }), object({ a: { ...schema }, b: text }))).toEqual([]);
    expect(
      compare({ ...text, not: { const: 'a' } }, { ...text, not: { const: 'a' }, maxLength: 1 }),
    ).toHaveLength(1);
  });

  it('ends in time for schemas with very many alternatives', () => {
    const wide = (length: number) => ({
      allOf: Array.from({ length }, (_, index) => ({
        anyOf: [{ minLength: index }, { maxLength: index + 9 }],
      })),
    });
    const began = performance.now();
    expect(undecided({ type: 'string', ...wide(30) }, { type: 'string', ...wide(29) })).toContain(true);
    expect(performance.now() - began).toBeLessThan(2_000);
  });
});
