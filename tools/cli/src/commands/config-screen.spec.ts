import { describe, expect, it } from '@jest/globals';
import { describeEffect, formatExplanation } from './config-screen.ts';

type Setting = Parameters<typeof formatExplanation>[0][number]['settings'][number];
const setting = (rest: Partial<Setting>): Setting => ({
  ...{ key: 'limit', value: '10', origin: 'default', live: true, ...rest },
});
const instance = (name: string, rest: Partial<Setting>, unknown: string[] = []) => ({
  ...{ instance: name, settings: [setting(rest)], unknown },
});
const version = (n: number, place = 'loans/default') => `version ${n} of ${place} by kim`;
const changed = [{ key: 'limit', after: '10' }];
const effect = (...instances: Parameters<typeof describeEffect>[0]) =>
  describeEffect(instances, changed, 'version 2 of loans/default ');

describe('describeEffect', () => {
  it('is complete when each instance has applied the change', () => {
    const met = instance('a', { origin: 'config server', from: version(2) });
    const late = instance('b', { origin: 'config server', from: version(1) });
    expect(effect(met, late)).toMatchObject({ complete: false, refused: false });
    expect(effect(met, { ...met, instance: 'b' })).toEqual({
      ...{ lines: ['  limit: in force'], complete: true, refused: false },
    });
    // Version 21 is not version 2.
    const other = instance('a', { origin: 'config server', from: version(21) });
    expect(effect(other).complete).toBe(false);
  });

  it('reports a rejection, a required restart, and a source with precedence', () => {
    expect(effect(instance('a', { refused: `${version(2)}: too big` }))).toMatchObject({
      ...{ lines: [`  limit: refused by a: ${version(2)}: too big`], complete: true, refused: true },
    });
    expect(effect(instance('a', { afterRestart: version(2) })).lines[0]).toContain('after a restart');
    expect(effect(instance('a', { origin: 'environment' })).lines[0]).toContain(
      'overridden by the environment',
    );
    const unknown = { instance: 'a', settings: [], unknown: ['limit'] };
    expect(effect(unknown).lines[0]).toContain('no such setting');
  });

  it('reports the default after a setting is removed', () => {
    const taken = [{ key: 'limit', after: null }];
    const before = instance('a', { origin: 'config server', from: version(1) });
    expect(describeEffect([before], taken, 'version 2 of loans/default ').complete).toBe(false);
    expect(describeEffect([instance('a', {})], taken, 'version 2 of loans/default ')).toMatchObject({
      ...{ complete: true, lines: ['  limit: in force: the default'] },
    });
    expect(effect(instance('a', {})).complete).toBe(false);
  });
});

describe('formatExplanation', () => {
  it('groups instances with equal settings', () => {
    const same = { origin: 'config server' as const, from: version(2) };
    const lines = formatExplanation([instance('a', same), instance('b', {}), instance('c', same)]);
    expect(lines.filter((line) => !line.startsWith(' '))).toEqual(['a, c', 'b']);
    expect(lines.join('\n')).toMatch(/limit +10 +live +config server, version 2 of loans\/default by kim/);
  });
});
