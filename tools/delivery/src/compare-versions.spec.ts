import { describe, expect, it } from '@jest/globals';
import {
  addTraffic,
  computeP95,
  findRegression,
  type Handled,
  subtractTraffic,
  type Traffic,
} from './compare-versions.ts';

const bounds = [0.01, 0.1, 1, Infinity];
/** @param seconds how long each message took */
function handled(part: Partial<Omit<Handled, 'buckets'>>, seconds = 0.005): Handled {
  const all = { isCall: true, ok: 0, rejected: 0, failed: 0, ...part };
  const total = all.ok + all.rejected + all.failed;
  return { ...all, buckets: bounds.map((bound) => [bound, seconds <= bound ? total : 0]) };
}
const traffic = (one: Handled): Traffic => new Map([['tea.brew', one]]);
const compare = (now: Handled, then: Handled, { percent = 50, seconds = 10, isOver = true } = {}) =>
  findRegression({
    traffic: traffic(now),
    baseline: { traffic: traffic(then), seconds: 5 },
    seconds,
    percent,
    isOver,
  });

describe('a new version', () => {
  it('that handles its share as before is no worse', () => {
    expect(compare(handled({ ok: 98, failed: 2 }), handled({ ok: 99, failed: 1 }))).toBeUndefined();
  });

  it('that fails more often is worse', () => {
    expect(compare(handled({ ok: 90, failed: 10 }), handled({ ok: 99, failed: 1 }))).toBe(
      'tea.brew: 10 of 100 failed, before 1 %',
    );
  });

  it('that fails as often as the current one is no worse', () => {
    expect(compare(handled({ ok: 70, failed: 30 }), handled({ ok: 75, failed: 25 }))).toBeUndefined();
  });

  it('that fails twice says nothing yet, three times is enough', () => {
    expect(compare(handled({ failed: 2 }), handled({ ok: 5 }), { seconds: 0.1 })).toBeUndefined();
    expect(compare(handled({ failed: 3 }), handled({ ok: 5 }), { seconds: 0.1 })).toContain('3 of 3 failed');
  });

  it('that rejects what was accepted before is worse', () => {
    expect(compare(handled({ ok: 50, rejected: 50 }), handled({ ok: 90, rejected: 10 }))).toBe(
      'tea.brew: 50 of 100 were rejected, before 10 %',
    );
  });

  it('that is slow is worse', () => {
    expect(compare(handled({ ok: 100 }, 0.5), handled({ ok: 100 }))).toMatch(/95 % took up to \d+ ms/);
    expect(compare(handled({ ok: 100 }, 0.05), handled({ ok: 100 }, 0.05))).toBeUndefined();
    expect(compare(handled({ ok: 100 }, 0.5), handled({ ok: 100 }), { isOver: false })).toBeUndefined();
  });

  it('that does not answer is worse, although nothing was handled', () => {
    expect(compare(handled({}), handled({ ok: 100 }))).toBe(
      'tea.brew: handled 0, where about 100 were expected',
    );
  });

  it('handles events as they come: they do not follow the shares', () => {
    expect(compare(handled({ isCall: false }), handled({ isCall: false, ok: 100 }))).toBeUndefined();
  });

  it('with a message that the current one does not have is judged by its failures', () => {
    const period = { baseline: { traffic: new Map(), seconds: 5 }, seconds: 5, percent: 50, isOver: true };
    expect(findRegression({ ...period, traffic: traffic(handled({ ok: 30 })) })).toBeUndefined();
    expect(findRegression({ ...period, traffic: traffic(handled({ failed: 30 })) })).toContain('failed');
  });
});

describe('traffic', () => {
  it('is subtracted by message, and a smaller counter belongs to a new process', () => {
    const [before, after] = [traffic(handled({ ok: 10 })), traffic(handled({ ok: 15, failed: 1 }))];
    expect(subtractTraffic(after, before).get('tea.brew')).toEqual(handled({ ok: 5, failed: 1 }));
    expect(subtractTraffic(before, after).get('tea.brew')).toEqual(handled({ ok: 10 }));
  });

  it('is added by message', () => {
    const sum = addTraffic(traffic(handled({ ok: 1 })), traffic(handled({ ok: 2, rejected: 1 })));
    expect(sum.get('tea.brew')).toEqual(handled({ ok: 3, rejected: 1 }));
  });

  it('has a 95th percentile within the right bucket', () => {
    const buckets: Handled['buckets'] = [
      [0.01, 90],
      [0.1, 100],
      [Infinity, 100],
    ];
    expect(computeP95({ buckets })).toBeCloseTo(0.055);
    expect(
      computeP95({
        buckets: [
          [0.01, 0],
          [Infinity, 5],
        ],
      }),
    ).toBe(0.02);
    expect(computeP95({ buckets: [] })).toBeUndefined();
  });
});
