import { describe, expect, it } from '@jest/globals';
import { applyMovement, findShortage, mergeLines, type Movement, type Stock } from './stock.ts';

const cup: Stock = { productId: 'cup', onHand: 5, reserved: 3, sold: 2, received: 10, version: 4 };

describe('stock', () => {
  it.each<[Movement, Partial<Stock>]>([
    ['receive', { onHand: 7, received: 12 }],
    ['reserve', { onHand: 3, reserved: 5 }],
    ['release', { onHand: 7, reserved: 1 }],
    ['sell', { reserved: 1, sold: 4 }],
    ['sellFromHand', { onHand: 3, sold: 4 }],
    ['takeBack', { onHand: 7, sold: 0 }],
  ])('%s two pieces', (movement, expected) => {
    const after = applyMovement(cup, movement, 2);
    expect(after).toEqual({ ...cup, ...expected, version: 5 });
    expect(after.onHand + after.reserved + after.sold).toBe(after.received);
  });

  it.each<[Movement, number]>([
    ['reserve', 6],
    ['release', 4],
    ['sell', 4],
    ['sellFromHand', 6],
    ['takeBack', 3],
  ])('%s rejects %i pieces, which would make a count negative', (movement, quantity) => {
    expect(() => applyMovement(cup, movement, quantity)).toThrow(`${movement} ${quantity} of product cup`);
    expect(() => applyMovement(cup, movement, quantity - 1)).not.toThrow();
  });

  it('merges two lines of one product', () => {
    const lines = [
      { productId: 'cup', quantity: 2 },
      { productId: 'bowl', quantity: 1 },
      { productId: 'cup', quantity: 3 },
    ];
    expect(mergeLines(lines)).toEqual([
      { productId: 'cup', quantity: 5 },
      { productId: 'bowl', quantity: 1 },
    ]);
  });

  it('finds the first product with too few pieces', () => {
    const stock = new Map([['cup', cup]]);
    expect(findShortage([{ productId: 'cup', quantity: 5 }], stock)).toBeUndefined();
    expect(findShortage([{ productId: 'cup', quantity: 6 }], stock)).toEqual({
      productId: 'cup',
      available: 5,
    });
    expect(
      findShortage(
        [
          { productId: 'bowl', quantity: 1 },
          { productId: 'cup', quantity: 6 },
        ],
        stock,
      ),
    ).toEqual({ productId: 'bowl', available: 0 });
  });
});
