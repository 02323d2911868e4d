import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { formats, nested, properties } from './spring-formats.ts';
import { precedence } from './sources.ts';

describe('the forms of Spring Cloud Config', () => {
  it('nest dotted keys, and make lists of numbered ones', () => {
    const flat = {
      'pool.size': '6',
      'pool.name': 'a',
      'hosts[1].port': '2',
      'hosts[0].port': '1',
      'tags[0]': 'x',
    };
    expect(nested(flat)).toEqual({
      pool: { size: '6', name: 'a' },
      hosts: [{ port: '1' }, { port: '2' }],
      tags: ['x'],
    });
  });

  it('keep a key as it is written where its place is taken', () => {
    expect(nested({ log: 'info', 'log.file': 'x' })).toEqual({ log: 'info', 'log.file': 'x' });
  });

  it('reach no prototype', () => {
    const tree = nested({ 'constructor.prototype.bad': 'x', 'a.__proto__.bad': 'y' }) as Record<
      string,
      unknown
    >;
    expect(Object.hasOwn(tree, 'constructor')).toBe(true);
    expect(({} as { bad?: string }).bad).toBeUndefined();
  });

  it('keep texts texts in YAML, whatever they look like', () => {
    const flat = { number: '5000', truth: 'true', none: 'null', lines: 'a\nb', korean: '조각보' };
    expect(parse(formats['yml']!.write(flat))).toEqual(flat);
  });

  it('escape properties as Java reads them', () => {
    expect(properties({ 'a b': ' c\\d', korean: '조', lines: '1\n2' })).toBe(
      'a\\ b=\\ c\\\\d\nkorean=\\uc870\nlines=1\\n2\n',
    );
  });
});

describe('precedence', () => {
  const order = (application: string, ...profiles: string[]) =>
    precedence(application, profiles).map((place) => `${place.application}-${place.profile}`);

  it('is that of Spring: the later profile first, then the default, own before shared', () => {
    expect(order('orders', 'eu', 'test')).toEqual([
      ...['orders-test', 'application-test', 'orders-eu', 'application-eu'],
      ...['orders-default', 'application-default'],
    ]);
    expect(order('orders', 'default')).toEqual(['orders-default', 'application-default']);
    expect(order('application', 'default')).toEqual(['application-default']);
  });
});
