import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { formats, toProperties, toTree } from './spring-formats.ts';
import { getPrecedence } from './sources.ts';

describe('the formats of Spring Cloud Config', () => {
  it('convert dotted keys to objects, and indexes to lists', () => {
    const flat = {
      'pool.size': '6',
      'pool.name': 'a',
      'hosts[1].port': '2',
      'hosts[0].port': '1',
      'tags[0]': 'x',
    };
    expect(toTree(flat)).toEqual({
      pool: { size: '6', name: 'a' },
      hosts: [{ port: '1' }, { port: '2' }],
      tags: ['x'],
    });
  });

  it('keep a dotted key unchanged if its parent key has a value', () => {
    expect(toTree({ log: 'info', 'log.file': 'x' })).toEqual({ log: 'info', 'log.file': 'x' });
  });

  it('prevent prototype pollution', () => {
    const tree = toTree({ 'constructor.prototype.bad': 'x', 'a.__proto__.bad': 'y' }) as Record<
      string,
      unknown
    >;
    expect(Object.hasOwn(tree, 'constructor')).toBe(true);
    expect(({} as { bad?: string }).bad).toBeUndefined();
  });

  it('keep all values as strings in YAML', () => {
    const flat = { number: '5000', truth: 'true', none: 'null', lines: 'a\nb', korean: '조각보' };
    expect(parse(formats['yml']!.write(flat))).toEqual(flat);
  });

  it('escape properties as java.util.Properties does', () => {
    expect(toProperties({ 'a b': ' c\\d', korean: '조', lines: '1\n2' })).toBe(
      'a\\ b=\\ c\\\\d\nkorean=\\uc870\nlines=1\\n2\n',
    );
  });
});

describe('precedence', () => {
  const listPlaces = (application: string, ...profiles: string[]) =>
    getPrecedence(application, profiles).map((place) => `${place.application}-${place.profile}`);

  it('follows Spring: later profiles first, default last, own settings before shared ones', () => {
    expect(listPlaces('loans', 'eu', 'test')).toEqual([
      ...['loans-test', 'application-test', 'loans-eu', 'application-eu'],
      ...['loans-default', 'application-default'],
    ]);
    expect(listPlaces('loans', 'default')).toEqual(['loans-default', 'application-default']);
    expect(listPlaces('application', 'default')).toEqual(['application-default']);
  });
});
