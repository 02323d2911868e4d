import { orders } from '@jogakbo/contracts-orders';
import { Consistency1700000000000 } from '@jogakbo/consistency';
import { Service } from '@jogakbo/service';
import { Orders1700000002000 } from '../migrations/1700000002000-orders.ts';
import { CancelOrderHandler } from './cancel-order.ts';
import { cancellation, checkout } from './checkout.saga.ts';
import { PlaceOrderHandler } from './place-order.ts';
import { ReadOrdersHandler } from './read-orders.ts';
import { SettleOrderHandler } from './settle-order.ts';

@Service({
  contract: orders,
  migrations: [Consistency1700000000000, Orders1700000002000],
  handlers: [PlaceOrderHandler, SettleOrderHandler, CancelOrderHandler, ReadOrdersHandler],
  sagas: [checkout, cancellation],
})
export class OrdersModule {}
