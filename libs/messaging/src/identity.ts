import type { ConsumeMessage } from 'amqplib';
import type { Grants } from './grants.ts';
import { markHeader, type Marks } from './marks.ts';

/** How a connection stands to the others on the broker. */
export interface BrokerIdentity {
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
  /** True where an operator changed its data: neither its member nor its address stands behind that. */
  isEdited: boolean;
}

const header = 'sender';
const nobody = '';

/** With a dead letter that an operator sends again: its service, which alone believes what it says of its sender. */
export const replayedForHeader = 'replayed-for';

/** Says who sent a message at first, for whoever sends it on. */
export const senderHeader = (sender: string | undefined): Record<string, string> => ({
  [header]: sender ?? nobody,
});

/**
 * Who sent a message, as the broker vouches for it: it refuses any `user-id` but the sender's own, and keeps it when a
 * queue hands a message on. The sender can write everything else in a message.
 *
 * What came again, from a retry or from among the dead letters, was sent by its own service or by an operator. Who sent
 * it at first is believed where it carries the mark of this service, or where an operator, who sends it to this service
 * again, says it and there is no mark.
 * @param marks those of this service; without them nothing is marked
 */
export function determineOrigin(
  { properties, content }: Pick<ConsumeMessage, 'properties' | 'content'>,
  { login, operator }: BrokerIdentity,
  marks?: Marks,
): Origin {
  const headers = (properties.headers ?? {}) as Record<string, unknown>;
  const user = (properties.userId as string | undefined) || undefined;
  const isHandedOn = 'x-death' in headers;
  const origin = { failures: 0, firstFailedAt: undefined, isHandedOn, isEdited: false };
  if (user === undefined || (user !== login && user !== operator)) return { ...origin, sender: user };
  const first = headers[header];
  const said = typeof first === 'string' ? first || undefined : user;
  if (user === operator && user !== login) return { ...origin, ...replayed() };
  const isMarked = marks?.verify(String(properties.messageId), content, headers) ?? false;
  // Without logins of their own services cannot be told apart, and an instance may have another key.
  if (!isMarked && operator !== undefined) return { ...origin, sender: user };
  return {
    sender: said,
    failures: Number(headers['failures'] ?? 0) || 0,
    firstFailedAt: headers['first-failed-at'] as string | undefined,
    ...{ isHandedOn: false, isEdited: false },
  };

  /** A queue of another service may have handed on what an operator sent to that one. */
  function replayed(): Pick<Origin, 'sender'> & Partial<Origin> {
    const isReplay = [header, markHeader, replayedForHeader].some((name) => name in headers);
    if (!isReplay) return { sender: user };
    if (headers[replayedForHeader] !== login) return { sender: undefined };
    if (!(markHeader in headers)) return { sender: said };
    const messageId = String(properties.messageId);
    if (marks?.verify(messageId, content, headers)) return { sender: said, isHandedOn: false };
    if (marks?.verifyBeforeEdit(messageId, headers))
      return { sender: said, isHandedOn: false, isEdited: true };
    return { sender: undefined };
  }
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
  { login, operator }: BrokerIdentity,
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
