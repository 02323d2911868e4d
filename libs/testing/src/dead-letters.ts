import { queues, type BrokerConnection } from '@jogakbo/messaging';

/** A message that a service could not handle. */
export interface DeadLetter {
  /** The name of its contract. */
  name: string;
  /** The name and the message of the last error. */
  cause: string;
  stack: string;
  /** Number of attempts. */
  failures: number;
  data: unknown;
}

/** Removes all dead letters of a service from their queue. */
export async function takeDeadLetters(connection: BrokerConnection, service: string): Promise<DeadLetter[]> {
  const channel = await connection.model!.createChannel();
  const taken: DeadLetter[] = [];
  try {
    for (;;) {
      const message = await channel.get(queues.dead(service), { noAck: true });
      if (!message) return taken;
      const { headers = {} } = message.properties;
      const { pattern, data } = JSON.parse(message.content.toString()) as { pattern: string; data: unknown };
      taken.push({
        ...{ name: pattern, data },
        cause: String(headers['cause']),
        stack: String(headers['stack']),
        failures: Number(headers['failures']),
      });
    }
  } finally {
    await channel.close();
  }
}
