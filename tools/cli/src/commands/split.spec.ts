import { describe, expect, it } from '@jest/globals';
import { sharesNamed, splitTable } from './split.ts';

describe('jogakbo split', () => {
  it('takes versions and percents', () => {
    expect(sharesNamed(['1.4.0=10%', '1.5.0=2.5'])).toEqual({ '1.4.0': 10, '1.5.0': 2.5 });
  });

  it.each([
    [['1.4.0'], '"1.4.0" is not version=percent'],
    [['1.4.0=ten'], '"1.4.0=ten" is not version=percent'],
    [['1.4.0=101%'], '"1.4.0=101%" is not version=percent'],
    [['1.4.0=-1%'], '"1.4.0=-1%" is not version=percent'],
    [['1.4.0=10%', '1.4.0=20%'], '1.4.0 is named twice'],
  ])('refuses %j', (pairs, problem) => {
    expect(() => sharesNamed(pairs)).toThrow(problem);
  });

  it('refuses more than 100 % together, and names that are no versions', () => {
    const details = (pairs: string[]) => {
      try {
        return sharesNamed(pairs);
      } catch (error) {
        return (error as { details?: string[] }).details;
      }
    };
    expect(details(['a=60', 'b=41'])).toEqual(['the shares are more than 100 % together']);
    expect(details(['a b=1'])).toEqual([expect.stringContaining('a b')]);
  });

  it('shows the instances of each version, and what is left', () => {
    const one = (version: string, state: 'up' | 'out' = 'up') => ({
      ...{ service: 'orders', version, state, instance: version, url: '', upstream: 'bus' as const },
      ...{ startedAt: '2026-11-21T09:00:00Z', contractHash: '' },
    });
    const instances = [one('1.3.0'), one('1.3.0'), one('1.4.0'), one('1.4.0', 'out')];
    expect(splitTable({ orders: { '1.4.0': 10, '1.5.0': 2.5 } }, instances)).toEqual([
      'service  version  share  instances',
      'orders   1.4.0    10%    1',
      'orders   1.5.0    2.5%   0: its calls go to the others',
      'orders   others   87.5%  2',
    ]);
  });
});
