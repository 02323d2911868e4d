import type { ConsumeMessage } from 'amqplib';
import type { Grants } from './grants.ts';
import { markHeader, type Marks } from './marks.ts';

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

/** What is known of a message beyond what its sender could write. */
export interface Origin {
  /** The login that sent it at first; undefined where neither the broker nor a mark confirms it. */
  sender: string | undefined;
  /** Attempts that failed before this one. */
  failures: number;
  firstFailedAt: string | undefined;
  /** True where a queue handed it on, which anybody can arrange for what was sent to him: it may be old. */
  isHandedOn: boolean;
}

const header = 'sender';
const nobody = '';

/** Says who sent a message at first, for whoever sends it on. */
export const senderHeader = (sender: string | undefined): Record<string, string> => ({
  [header]: sender ?? nobody,
});

/**
 * Who sent a message, as the broker vouches for it: it refuses any `user-id` but the sender's own, and keeps it when a
 * queue hands a message on. The sender can write everything else in a message.
 *
 * What came again, from a retry or from among the dead letters, was sent by its own service or by an operator. Who sent
 * it at first is believed where it carries the mark of this service, or where an operator says it and there is no mark.
 * @param marks those of this service; without them nothing is marked
 */
export function originOf(
  { properties, content }: Pick<ConsumeMessage, 'properties' | 'content'>,
  { login, operator }: Standing,
  marks?: Marks,
): Origin {
  const headers = (properties.headers ?? {}) as Record<string, unknown>;
  const user = (properties.userId as string | undefined) || undefined;
  const origin = { failures: 0, firstFailedAt: undefined, isHandedOn: 'x-death' in headers };
  if (user === undefined || (user !== login && user !== operator)) return { ...origin, sender: user };
  const isMarked = marks?.verify(String(properties.messageId), content, headers) ?? false;
  const first = headers[header];
  const said = typeof first === 'string' ? first || undefined : user;
  // Without logins of their own services cannot be told apart, and an instance may have another key.
  if (isMarked || operator === undefined) {
    const isReplayed = user === operator && user !== login;
    return {
      sender: said,
      failures: isReplayed ? 0 : Number(headers['failures'] ?? 0) || 0,
      firstFailedAt: isReplayed ? undefined : (headers['first-failed-at'] as string | undefined),
      isHandedOn: false,
    };
  }
  if (user === operator) return { ...origin, sender: markHeader in headers ? undefined : said };
  return { ...origin, sender: user };
}

/** A message that does not come from the one who may send it. It is never handled, however often it comes. */
export class UnauthorizedSender extends Error {
  override readonly name = 'UnauthorizedSender';
}

/**
 * Checks that a message comes from one who may send it: an event from the service that it belongs to, and straight from
 * it; a request from a service that declares that it calls it, from the gateway where it is offered there, from this
 * service itself, or from an operator. The broker checks the latter too, but not where a queue hands messages on.
 * @throws UnauthorizedSender
 */
export function mustBeAllowed(
  contract: { kind: string; name: string; service: string },
  { sender, isHandedOn }: Pick<Origin, 'sender' | 'isHandedOn'>,
  { login, operator }: Standing,
  grants: Pick<Grants, 'mayCall'>,
): void {
  const { kind, name, service } = contract;
  const from = sender === undefined ? 'somebody without identity' : sender;
  if (kind === 'event') {
    if (sender !== service)
      throw new UnauthorizedSender(`${name} came from ${from}: only ${service} may announce it`);
    if (isHandedOn) throw new UnauthorizedSender(`${name} of ${service} was handed on by another queue`);
    return;
  }
  if (sender === undefined) throw new UnauthorizedSender(`${name} came from ${from}`);
  if (sender === login || sender === operator || grants.mayCall(sender, name)) return;
  throw new UnauthorizedSender(`${name} came from ${from}, which may not call it`);
}
