import { describe, expect, it } from '@jest/globals';
import { products } from './seed-products.ts';

const distinct = (values: string[]) => new Set(values).size;

describe('the sample products', () => {
  it('are 200 in 12 categories', () => {
    expect(products).toHaveLength(200);
    expect(distinct(products.map(({ category }) => category))).toBe(12);
  });

  it('have unique skus and names', () => {
    expect(distinct(products.map(({ sku }) => sku))).toBe(200);
    expect(distinct(products.map(({ korean }) => korean.name))).toBe(200);
    expect(distinct(products.map(({ english }) => english.name))).toBe(200);
  });

  it('are complete in both languages', () => {
    for (const { sku, price, stock, korean, english } of products) {
      expect(sku).toMatch(/^[A-Z]{3}-\d{3}$/);
      expect(Number.isInteger(price) && price >= 1_000).toBe(true);
      expect(stock >= 20 && stock <= 500).toBe(true);
      expect(korean.name).toMatch(/\p{Script=Hangul}/u);
      expect(korean.description).toMatch(/\p{Script=Hangul}.*니다\.$/u);
      expect(english.name + english.description).not.toMatch(/\p{Script=Hangul}|\|/u);
      expect(english.description).toMatch(/\.$/);
    }
  });
});
