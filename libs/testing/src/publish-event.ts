import { randomUUIDv7 } from 'node:crypto';
import type { AnyEvent, Message } from '@jogakbo/contract';
import { contextHeaders, encodeEvent, exchanges, getSubject, type Publisher } from '@jogakbo/messaging';

/** Publishes an event as its service does, without an outbox. @param id to publish the same event again */
export async function publishEvent(
  publisher: Publisher,
  { contract, data }: Message<AnyEvent>,
  id: string = randomUUIDv7(),
): Promise<void> {
  const { name, service } = contract;
  const event = { id, name, source: service, subject: getSubject(contract, data), time: new Date(), data };
  const encoded = encodeEvent(event, contextHeaders(undefined));
  await publisher.publish({ exchange: exchanges.events(name), routingKey: name, ...encoded });
}
