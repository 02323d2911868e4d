import { QuoteProducts } from '@jogakbo/contracts-catalog';
import { CommitStock, ReserveStock, ReturnStock } from '@jogakbo/contracts-inventory';
import { orders } from '@jogakbo/contracts-orders';
import {
  AuthorizePayment,
  CapturePayment,
  CheckPaymentToken,
  ReturnPayment,
} from '@jogakbo/contracts-payments';
import { consistencyMigrations, eventStoreMigrations } from '@jogakbo/consistency';
import { Service } from '@jogakbo/service';
import { OpenOrders1700000003000 } from '../migrations/1700000003000-open-orders.ts';
import { CancelOrderHandler } from './cancel-order.ts';
import { cancellation, checkout } from './checkout.saga.ts';
import { ConfirmOrderHandler } from './confirm-order.ts';
import { GetOrderOutcomeHandler } from './get-order-outcome.ts';
import { GetOrderOwnerHandler } from './get-order-owner.ts';
import { GetOrderHandler } from './get-order.ts';
import { ListOrdersHandler } from './list-orders.ts';
import { orderList } from './order-list.projection.ts';
import { PlaceOrderHandler } from './place-order.ts';
import { MarkOrderRefundedHandler } from './mark-order-refunded.ts';
import { RejectOrderHandler } from './reject-order.ts';

@Service({
  contract: orders,
  calls: [
    QuoteProducts,
    CheckPaymentToken,
    ReserveStock,
    CommitStock,
    ReturnStock,
    AuthorizePayment,
    CapturePayment,
    ReturnPayment,
  ],
  migrations: [...consistencyMigrations, ...eventStoreMigrations, OpenOrders1700000003000],
  handlers: [
    PlaceOrderHandler,
    ConfirmOrderHandler,
    RejectOrderHandler,
    CancelOrderHandler,
    MarkOrderRefundedHandler,
    GetOrderHandler,
    GetOrderOutcomeHandler,
    GetOrderOwnerHandler,
    ListOrdersHandler,
  ],
  sagas: [checkout, cancellation],
  projections: [orderList],
})
export class OrdersModule {}
