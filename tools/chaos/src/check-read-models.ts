import { type Violation } from './check.ts';
import { type Facts } from './facts.ts';

/** That what is shown is what there is, and that it could be thrown away and built again. */
export function checkReadModels({ products, found, stock, rebuilt }: Facts): Violation[] {
  const violations: Violation[] = [];
  const shown = new Map(found.map(({ productId, available }) => [productId, available]));
  const there = new Map(stock.map(({ productId, onHand }) => [productId, onHand]));
  for (const productId of new Set([...products, ...shown.keys()])) {
    if (products.includes(productId) !== shown.has(productId))
      violations.push({
        rule: 'search knows every product',
        says: `product ${productId} is ${shown.has(productId) ? 'found, and does not exist' : 'not found'}`,
      });
  }
  for (const [productId, available] of shown) {
    // Of a product that never had a piece, inventory has nothing to tell.
    const onHand = there.get(productId) ?? 0;
    if ((available ?? 0) !== onHand)
      violations.push({
        rule: 'search shows the stock there is',
        says: `product ${productId}: ${available} are shown, ${onHand} on hand`,
      });
  }
  for (const { service, name, rows, differ, fault } of rebuilt) {
    if (differ.length > 0 || fault)
      violations.push({
        rule: 'a read model built again is the same',
        says: `${name} of ${service}: ${fault ?? `${differ.length} of ${rows} rows differ: ${differ[0]}`}`,
      });
  }
  return violations;
}
