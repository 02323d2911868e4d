import { describe, expect, it } from '@jest/globals';
import { parseShares, formatSplit } from './split.ts';

describe('jogakbo split', () => {
  it('parses versions and percentages', () => {
    expect(parseShares(['1.4.0=10%', '1.5.0=2.5'])).toEqual({ '1.4.0': 10, '1.5.0': 2.5 });
  });

  it.each([
    [['1.4.0'], '"1.4.0" is not version=percent'],
    [['1.4.0=ten'], '"1.4.0=ten" is not version=percent'],
    [['1.4.0=101%'], '"1.4.0=101%" is not version=percent'],
    [['1.4.0=-1%'], '"1.4.0=-1%" is not version=percent'],
    [['1.4.0=10%', '1.4.0=20%'], '1.4.0 is named twice'],
  ])('rejects %j', (pairs, problem) => {
    expect(() => parseShares(pairs)).toThrow(problem);
  });

  it('rejects a total above 100 % and invalid version names', () => {
    const details = (pairs: string[]) => {
      try {
        return parseShares(pairs);
      } catch (error) {
        return (error as { details?: string[] }).details;
      }
    };
    expect(details(['a=60', 'b=41'])).toEqual(['the shares add up to more than 100 %']);
    expect(details(['a b=1'])).toEqual([expect.stringContaining('a b')]);
  });

  it('shows the instances of each version and of all others', () => {
    const one = (version: string, state: 'up' | 'out' = 'up') => ({
      ...{ service: 'loans', version, state, instance: version, url: '', upstream: 'bus' as const },
      ...{ startedAt: '2026-11-21T09:00:00Z', contractHash: '' },
    });
    const instances = [one('1.3.0'), one('1.3.0'), one('1.4.0'), one('1.4.0', 'out')];
    expect(formatSplit({ loans: { '1.4.0': 10, '1.5.0': 2.5 } }, instances)).toEqual([
      'service  version  share  instances',
      'loans    1.4.0    10%    1',
      'loans    1.5.0    2.5%   0: its calls go to the others',
      'loans    others   87.5%  2',
    ]);
  });
});
