import { describe, expect, it } from '@jest/globals';
import { firstShortage, merged, moved, type Movement, type Stock } from './stock.ts';

const cup: Stock = { productId: 'cup', onHand: 5, reserved: 3, sold: 2, received: 10, version: 4 };

describe('stock', () => {
  it.each<[Movement, Partial<Stock>]>([
    ['receive', { onHand: 7, received: 12 }],
    ['reserve', { onHand: 3, reserved: 5 }],
    ['release', { onHand: 7, reserved: 1 }],
    ['sell', { reserved: 1, sold: 4 }],
    ['sellFromHand', { onHand: 3, sold: 4 }],
    ['takeBack', { onHand: 7, sold: 0 }],
  ])('two pieces %s', (movement, expected) => {
    const after = moved(cup, movement, 2);
    expect(after).toEqual({ ...cup, ...expected, version: 5 });
    expect(after.onHand + after.reserved + after.sold).toBe(after.received);
  });

  it.each<[Movement, number]>([
    ['reserve', 6],
    ['release', 4],
    ['sell', 4],
    ['sellFromHand', 6],
    ['takeBack', 3],
  ])('never below nothing: %s %i', (movement, quantity) => {
    expect(() => moved(cup, movement, quantity)).toThrow(`${movement} ${quantity} of product cup`);
    expect(() => moved(cup, movement, quantity - 1)).not.toThrow();
  });

  it('counts a product that is named twice once', () => {
    const lines = [
      { productId: 'cup', quantity: 2 },
      { productId: 'bowl', quantity: 1 },
      { productId: 'cup', quantity: 3 },
    ];
    expect(merged(lines)).toEqual([
      { productId: 'cup', quantity: 5 },
      { productId: 'bowl', quantity: 1 },
    ]);
  });

  it('names the first product that lacks', () => {
    const stock = new Map([['cup', cup]]);
    expect(firstShortage([{ productId: 'cup', quantity: 5 }], stock)).toBeUndefined();
    expect(firstShortage([{ productId: 'cup', quantity: 6 }], stock)).toEqual({
      productId: 'cup',
      available: 5,
    });
    expect(
      firstShortage(
        [
          { productId: 'bowl', quantity: 1 },
          { productId: 'cup', quantity: 6 },
        ],
        stock,
      ),
    ).toEqual({ productId: 'bowl', available: 0 });
  });
});
