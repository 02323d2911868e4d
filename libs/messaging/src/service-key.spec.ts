import { inspect } from 'node:util';
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { ServiceKey } from './service-key.ts';

const [first, second] = [randomBytes(32).toString('base64url'), randomBytes(32).toString('base64url')];

describe('the key of a service', () => {
  it('derives the same key for the same purpose, and unrelated ones for others', () => {
    const [key] = ServiceKey.parse(first).derive('marks');
    expect(ServiceKey.parse(first).derive('marks')).toEqual([key]);
    expect(key).toHaveLength(32);
    expect(ServiceKey.parse(first).derive('boxes')).not.toEqual([key]);
    expect(ServiceKey.parse(second).derive('marks')).not.toEqual([key]);
    expect(ServiceKey.random().derive('marks')).not.toEqual(ServiceKey.random().derive('marks'));
  });

  it('keeps earlier keys behind the current one', () => {
    const [current, ...earlier] = ServiceKey.parse(`${second},${first}`).derive('marks');
    expect([current]).toEqual(ServiceKey.parse(second).derive('marks'));
    expect(earlier).toEqual(ServiceKey.parse(first).derive('marks'));
  });

  it.each([
    ['an empty text', ''],
    ['a short one', first.slice(0, 42)],
    ['a long one', `${first}A`],
    ['a padded one', `${first}=`],
    ['one with non-canonical last bits', `${'A'.repeat(42)}B`],
    ['an empty part', `${first},`],
  ])('rejects %s', (_, text) => {
    expect(() => ServiceKey.parse(text)).toThrow(SyntaxError);
    if (text) expect(() => ServiceKey.parse(text)).not.toThrow(text);
  });

  it('never appears in logs', () => {
    const key = ServiceKey.parse(first);
    const hex = Buffer.from(first, 'base64url').toString('hex');
    for (const shown of [JSON.stringify({ key }), inspect(key, { depth: 9, showHidden: true }), `${key}`]) {
      expect(shown).not.toContain(first);
      expect(shown).not.toContain(hex.slice(0, 8));
    }
  });
});
