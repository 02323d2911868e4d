import type { Money } from '@jogakbo/contracts-commerce';
import {
  CommitStock,
  ReserveStock,
  ReturnStock,
  StockRefused,
  StockReserved,
} from '@jogakbo/contracts-inventory';
import {
  ConfirmOrder,
  OrderCancelled,
  OrderConfirmed,
  RejectOrder,
  StartCheckout,
} from '@jogakbo/contracts-orders';
import {
  AuthorizePayment,
  CapturePayment,
  PaymentAuthorized,
  PaymentDeclined,
  ReturnPayment,
} from '@jogakbo/contracts-payments';
import { end, minutes, saga, to } from '@jogakbo/consistency';

/** A free order needs no payment: no command goes to payments. */
const isFree = ({ amount }: Money): boolean => amount === 0;

/** Runs an order to its outcome. The confirmation is the pivot: only the steps before it are compensated. */
export const checkout = saga('checkout', 'orderId')
  .startedBy(StartCheckout, ({ orderId, memberId, total, lines, payment }) =>
    to({ memberId, amount: total, token: payment?.token }, ReserveStock({ orderId, lines })),
  )
  .on(StockReserved, ({ orderId }, state) =>
    to(
      state,
      isFree(state.amount)
        ? ConfirmOrder({ orderId })
        : // place-order rejects a total above 0 without a token.
          AuthorizePayment({ orderId, memberId: state.memberId, amount: state.amount, token: state.token! }),
    ),
  )
  .on(StockRefused, ({ orderId }) => end(RejectOrder({ orderId, reason: 'out-of-stock' })))
  .on(PaymentAuthorized, ({ orderId }, state) => to(state, ConfirmOrder({ orderId })))
  .on(PaymentDeclined, ({ orderId, reason }) =>
    end(ReturnStock({ orderId }), RejectOrder({ orderId, reason })),
  )
  .on(OrderConfirmed, ({ orderId }, { amount }) =>
    end(CommitStock({ orderId }), ...(isFree(amount) ? [] : [CapturePayment({ orderId })])),
  )
  .on(OrderCancelled, () => end())
  .after(minutes(10), ({ orderId }, { amount }) =>
    end(
      ReturnStock({ orderId }),
      ...(isFree(amount) ? [] : [ReturnPayment({ orderId })]),
      RejectOrder({ orderId, reason: 'timeout' }),
    ),
  );

/** Returns stock and payment, whatever step the checkout had reached. */
export const cancellation = saga('cancellation', 'orderId').startedBy(OrderCancelled, ({ orderId, total }) =>
  end(ReturnStock({ orderId }), ...(isFree(total) ? [] : [ReturnPayment({ orderId })])),
);
