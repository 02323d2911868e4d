import { type LoadModule, type LoadOptions } from '@jogakbo/bench/src/load-module.ts';
import { createCustomer } from './customer.ts';

/** Buys until all customers together have made so many purchases. */
async function buy({ url, count, customers, onDone }: LoadOptions): Promise<void> {
  const crowd = await Promise.all(
    // Twice the average, because some customers buy faster than others.
    Array.from({ length: customers }, () => createCustomer(url, (2 * count) / customers)),
  );
  let begun = 0;
  await Promise.all(
    crowd.map(async (customer) => {
      while (begun++ < count) {
        await customer.buy();
        onDone();
      }
    }),
  );
}

export default { unit: 'purchases', run: buy } satisfies LoadModule;
