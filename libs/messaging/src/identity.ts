import type { ConsumeMessage, MessageProperties } from 'amqplib';
import { exchanges } from './topology.ts';

/** How a connection stands to the others on the broker. */
export interface Standing {
  /** The login of this connection. */
  readonly login: string;
  /**
   * The login of those who operate the broker. Set where every service has a login of its own: only then can a consumer
   * demand that a message comes from the one who may send it.
   */
  readonly operator: string | undefined;
}

const header = 'sender';
const nobody = '';

/** Says who sent a message at first, for whoever sends it on. */
export const senderHeader = (sender: string | undefined): Record<string, string> => ({
  [header]: sender ?? nobody,
});

/**
 * The login that sent a message, as the broker vouches for it (it refuses any `user-id` but the sender's own).
 * A message that came again, from a retry or from among the dead, was sent on by its own service or by an operator: of
 * those, and of nobody else, it is believed who sent it at first.
 * @returns undefined where nobody vouches for it
 */
export function senderOf(
  { userId, headers }: Pick<MessageProperties, 'userId' | 'headers'>,
  { login, operator }: Standing,
): string | undefined {
  const user = (userId as string | undefined) || undefined;
  const first = (headers as Record<string, unknown> | undefined)?.[header];
  if (user === undefined || (user !== login && user !== operator)) return user;
  return typeof first === 'string' ? first || undefined : user;
}

/**
 * The key under which the broker let a message pass, having looked whether its sender may use it. Where a queue of its
 * own handed the message on, the broker looked at nothing: that is believed of queues for a version of this service, into
 * which it came straight from its sender, and of no others.
 * @returns undefined for what this service, or an operator, sent again; empty where nobody looked
 */
export function keyOf(
  { properties, fields }: Pick<ConsumeMessage, 'properties' | 'fields'>,
  { login, operator }: Standing,
): string | undefined {
  const user = properties.userId as string | undefined;
  const isSentAgain = operator === undefined || user === login || user === operator;
  if (isSentAgain) return fields.exchange === exchanges.dead ? undefined : fields.routingKey;
  const deaths = properties.headers?.['x-death'] as Death[] | undefined;
  if (!deaths) return fields.routingKey;
  const [death, ...earlier] = deaths;
  const isOurs = earlier.length === 0 && death?.queue.startsWith(`${login}.`) && death.queue.includes('@');
  return (isOurs && death?.['routing-keys'][0]) || '';
}

/** What the broker says of a queue that handed a message on. */
interface Death {
  queue: string;
  'routing-keys': string[];
}

/** A message that does not come from the one who may send it. It is never handled, however often it comes. */
export class Stranger extends Error {
  override readonly name = 'Stranger';
}

/**
 * Looks whether a message comes from the one who may send it: an event from the service that it belongs to, a request
 * from anybody whom the broker knows (and it lets only those send it who declared that they do).
 * @param key what the broker looked at when it let the message pass: a message says what it is only once
 * @throws Stranger
 */
export function mustBeSentByOwner(
  contract: { kind: string; name: string; service: string },
  { sender, key }: { sender: string | undefined; key: string | undefined },
): void {
  const { kind, name, service } = contract;
  if (key !== undefined && key.split('@', 1)[0] !== name)
    throw new Stranger(`${name} came from ${sender} under the key ${key}`);
  const from = sender === undefined ? 'somebody without identity' : sender;
  if (kind === 'event' && sender !== service)
    throw new Stranger(`${name} came from ${from}: only ${service} may announce it`);
  if (sender === undefined) throw new Stranger(`${name} came from ${from}`);
}
