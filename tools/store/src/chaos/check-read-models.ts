import { type Violation } from '@jogakbo/chaos/src/violation.ts';
import { type StoreFacts } from './store-facts.ts';

/** Checks that search shows the products and stock that exist. */
export function checkReadModels({ products, found, stock }: StoreFacts): Violation[] {
  const violations: Violation[] = [];
  const shown = new Map(found.map(({ productId, available }) => [productId, available]));
  const onHandById = new Map(stock.map(({ productId, onHand }) => [productId, onHand]));
  for (const productId of new Set([...products, ...shown.keys()])) {
    if (products.includes(productId) !== shown.has(productId))
      violations.push({
        rule: 'search has every product',
        detail: `product ${productId} is ${shown.has(productId) ? 'found, but does not exist' : 'not found'}`,
      });
  }
  for (const [productId, available] of shown) {
    // Inventory has no row for a product that was never received.
    const onHand = onHandById.get(productId) ?? 0;
    if ((available ?? 0) !== onHand)
      violations.push({
        rule: 'search shows the stock on hand',
        detail: `product ${productId}: search shows ${available}, ${onHand} are on hand`,
      });
  }
  return violations;
}
