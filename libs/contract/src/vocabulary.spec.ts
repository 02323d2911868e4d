import { describe, expect, it } from '@jest/globals';
import { toPage } from './vocabulary.ts';

describe('a page', () => {
  const toPageOfTwo = (...rows: string[]) => toPage(rows, 2, (last) => `after ${last}`);

  it('has the cursor of its last item if another page follows', () =>
    expect(toPageOfTwo('a', 'b', 'c')).toEqual({ items: ['a', 'b'], nextCursor: 'after b' }));

  it.each([[['a', 'b']], [['a']], [[]]])('has no cursor if it is the last one: %j', (rows) =>
    expect(toPageOfTwo(...rows)).toEqual({ items: rows, nextCursor: null }),
  );

  it('has no cursor if its last item has none', () =>
    expect(toPage(['a', 'b'], 1, () => null)).toEqual({ items: ['a'], nextCursor: null }));
});
