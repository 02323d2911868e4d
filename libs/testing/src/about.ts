/** Filters messages by order: `heard(OrderConfirmed).filter(about(orderId))`. */
export const about =
  (orderId: string) =>
  (message: { orderId: string }): boolean =>
    message.orderId === orderId;
