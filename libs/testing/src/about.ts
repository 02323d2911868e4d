/** Filters messages by order: `getPublishedEvents(OrderConfirmed).filter(about(orderId))`. */
export const isAbout =
  (orderId: string) =>
  (message: { orderId: string }): boolean =>
    message.orderId === orderId;
