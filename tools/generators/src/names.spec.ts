import { describe, expect, it } from '@jest/globals';
import * as names from './names.ts';

describe('words', () => {
  it.each([
    ['letters', 'letter'],
    ['entries', 'entry'],
    ['boxes', 'box'],
    ['wishes', 'wish'],
    ['days', 'day'],
    ['houses', 'house'],
  ])('%s is the plural of %s', (plural, singular) => {
    expect(names.toSingular(plural)).toBe(singular);
    expect(names.toPlural(singular)).toBe(plural);
  });

  it.each(['loyalty', 'status', 'address', 'news-feed'])('%s has no other singular', (word) =>
    expect(names.toSingular(word)).toBe(word),
  );

  it('have the forms of code and of text', () => {
    const name = 'open-letter';
    expect(names.toPascalCase(name)).toBe('OpenLetter');
    expect(names.toCamelCase(name)).toBe('openLetter');
    expect(names.toKebabCase('openLetter')).toBe(name);
    expect(names.toSnakeCase(name)).toBe('open_letter');
    expect(names.withArticle(names.toWords(name))).toBe('an open letter');
    expect(names.toSentence(name)).toBe('Open letter.');
    expect([names.toSqlName('letter'), names.toSqlName('user')]).toEqual(['letter', '"user"']);
  });
});

describe('names that cannot be used', () => {
  it.each([
    ['Gift-Cards', 'Try "giftcards".'],
    ['cards2', 'Try "cards".'],
    ['', 'letters a to z'],
    ['export', 'reserved word'],
    ['interface', 'reserved word'],
    ['await', 'reserved word'],
    ['application', 'reserved by the platform'],
    ['service', 'reserved by the platform'],
    ['a'.repeat(41), 'too long'],
  ])('of a service: %s', (name, reason) => expect(() => names.assertServiceName(name)).toThrow(reason));

  it.each(['AddLetter', 'add_letter', '-add', 'add--letter', '2nd', 'map', 'id', 'body'])(
    'of a command: %s',
    (name) =>
      expect(() => names.assertKebabName(name, 'command')).toThrow(
        `"${name}" cannot be the name of a command`,
      ),
  );

  it.each(['class', 'main', 'member', 'date'])('of an entity: %s', (name) =>
    expect(() => names.assertEntityName(name)).toThrow(`"${name}" cannot be the name of an entity`),
  );

  it('of a saga: a reserved word', () => {
    expect(() => names.assertConstantName('return', 'saga')).toThrow('reserved word');
    expect(() => names.assertConstantName('return-letter', 'saga')).not.toThrow();
  });
});

it('accepts other names', () => {
  for (const name of ['letters', 'type', 'loyalty'])
    expect(() => names.assertServiceName(name)).not.toThrow();
  for (const name of ['add-letter', 'letter-added', 'p2p'])
    expect(() => names.assertKebabName(name, 'command')).not.toThrow();
});
