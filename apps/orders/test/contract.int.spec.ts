import { StartCheckout } from '@jogakbo/contracts-orders';
import { contractTests } from '@jogakbo/testing/contract-tests';
import { OrdersModule } from '../src/orders.module.ts';
import stubs from '../stubs.ts';

contractTests(OrdersModule, {
  stubs,
  known: { token: ['tok_ok', 'tok_declined'] },
  internal: [StartCheckout],
});
