import type { ConsumeMessage } from 'amqplib';

/** Milliseconds until a message returns to its queue for the first time, and at most. */
const firstDelayMs = 1_000;
const maxDelayMs = 15_000;
const growth = 1.3;
/** Below the delivery limit of a quorum queue (20), so that some deliveries are left for consumers that die. */
const maxReturns = 17;

/**
 * Plans what is done with a message that cannot be settled now: for its retry the broker is needed, or another instance
 * may handle it. Before RabbitMQ 4.3 a quorum queue counts each return as a failed delivery and dead-letters the message
 * after 20. The delays grow so that the returns last for the longest deadline (`maxRequeueMs`); after the last one the
 * consumer keeps the message and tries again itself.
 * @returns the delay in milliseconds, and whether the message then returns to its queue
 */
export function planRequeue({ fields, properties }: Pick<ConsumeMessage, 'fields' | 'properties'>): {
  delayMs: number;
  isReturned: boolean;
} {
  // Counted by a quorum queue. In the first delivery it could be a header of the sender.
  const counted = fields.redelivered ? Number(properties.headers?.['x-delivery-count'] ?? 0) : 0;
  const delayMs = Math.min(maxDelayMs, Math.round(firstDelayMs * growth ** counted));
  return { delayMs, isReturned: counted < maxReturns };
}
