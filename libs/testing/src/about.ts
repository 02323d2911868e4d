/** Finds what concerns one order among messages of any kind: `heard(OrderConfirmed).filter(about(orderId))`. */
export const about =
  (orderId: string) =>
  (message: { orderId: string }): boolean =>
    message.orderId === orderId;
