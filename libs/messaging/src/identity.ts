import type { ConsumeMessage } from 'amqplib';
import type { Grants } from './grants.ts';
import { editedFromHeader, markHeader, type Marks } from './marks.ts';

/** The login of a connection, and the login of the broker operator. */
export interface BrokerIdentity {
  /** The login of this connection. */
  readonly login: string;
  /**
   * The login of the broker operator, which is the deploy step and `jogakbo dead`; not a member with the role `operator`. Set
   * if every service has a login of its own: only then can consumers check whether a sender may send a message. See
   * `BrokerConnection.hasLoginPerService`.
   */
  readonly operator: string | undefined;
}

/** Verified facts about a message, which its sender cannot forge. */
export interface Origin {
  /** The login that originally sent it; undefined if neither the broker nor a mark confirms it. */
  sender: string | undefined;
  /** Number of failed attempts before this one. */
  failures: number;
  firstFailedAt: string | undefined;
  /**
   * True if a queue that this service does not control dead-lettered it (`x-death`), which every receiver of a message can
   * cause: it may be old. False for the retries of this service, although the broker dead-lettered those too. Checked for
   * events and soft state only: a request names one contract and has a deadline.
   */
  wasDeadLetteredElsewhere: boolean;
  /** True if an operator changed its data: its member and address must not be used for that data. */
  isEdited: boolean;
}

const header = 'sender';
const noSender = '';

/** Header of a replayed dead letter: the service that it is replayed for. Only that service trusts its `sender` header. */
export const replayedForHeader = 'replayed-for';

/** The header with the original sender, for a message that is published again. */
export const senderHeader = (sender: string | undefined): Record<string, string> => ({
  [header]: sender ?? noSender,
});

/**
 * Determines the sender of a message. The broker rejects a `user-id` other than the publisher's login, and keeps it when a
 * message is dead-lettered. The sender can forge everything else in a message.
 *
 * Retries and replayed dead letters are published by the service itself or by an operator. Their `sender` header is
 * trusted if the mark of this service is valid, or if an operator replays an unmarked message for this service:
 *
 * | publisher (`user-id`)    | mark                         | sender          |
 * | ------------------------ | ---------------------------- | --------------- |
 * | another service, or none | any                          | the publisher   |
 * | this service             | valid (retry or dead letter) | header `sender` |
 * | this service             | invalid, or none             | this service    |
 * | operator                 | see below                    |                 |
 *
 * A message of the operator with the header `sender`, `mark` or `replayed-for` is a replay; any other comes from the operator
 * itself. A replay for this service (`replayed-for`):
 *
 * | mark                        | sender          | `isEdited`              |
 * | --------------------------- | --------------- | ----------------------- |
 * | valid                       | header `sender` | no                      |
 * | valid for the original body | header `sender` | yes                     |
 * | none                        | header `sender` | if it has `edited-from` |
 * | invalid                     | unknown         |                         |
 *
 * The sender of a replay for another service is unknown.
 * @param marks the marks of this service; without them no message counts as marked
 */
export function determineOrigin(
  { properties, content }: Pick<ConsumeMessage, 'properties' | 'content'>,
  { login, operator }: BrokerIdentity,
  marks?: Marks,
): Origin {
  const headers = (properties.headers ?? {}) as Record<string, unknown>;
  const user = (properties.userId as string | undefined) || undefined;
  const wasDeadLetteredElsewhere = 'x-death' in headers;
  const origin = { failures: 0, firstFailedAt: undefined, wasDeadLetteredElsewhere, isEdited: false };
  if (user === undefined || (user !== login && user !== operator)) return { ...origin, sender: user };
  const first = headers[header];
  const claimed = typeof first === 'string' ? first || undefined : user;
  if (user === operator && user !== login) return { ...origin, ...getReplayOrigin() };
  const isMarked = marks?.verify(String(properties.messageId), content, headers) ?? false;
  // With one login for all services senders cannot be distinguished, and an instance may have another key.
  if (!isMarked && operator !== undefined) return { ...origin, sender: user };
  return {
    sender: claimed,
    failures: Number(headers['failures'] ?? 0) || 0,
    firstFailedAt: headers['first-failed-at'] as string | undefined,
    wasDeadLetteredElsewhere: false,
    isEdited: false,
  };

  /** A queue of another service may have dead-lettered a message that an operator sent to that service. */
  function getReplayOrigin(): Pick<Origin, 'sender'> & Partial<Origin> {
    const isReplay = [header, markHeader, replayedForHeader].some((name) => name in headers);
    if (!isReplay) return { sender: user };
    if (headers[replayedForHeader] !== login) return { sender: undefined };
    if (!(markHeader in headers)) return { sender: claimed, isEdited: editedFromHeader in headers };
    const messageId = String(properties.messageId);
    if (marks?.verify(messageId, content, headers))
      return { sender: claimed, wasDeadLetteredElsewhere: false };
    if (marks?.verifyBeforeEdit(messageId, headers))
      return { sender: claimed, wasDeadLetteredElsewhere: false, isEdited: true };
    return { sender: undefined };
  }
}

/** The sender may not send this message. It is never handled. */
export class UnauthorizedSender extends Error {
  override readonly name = 'UnauthorizedSender';
}

/**
 * Checks whether the sender may send a message: an event only directly from its owner; a request from a service that
 * declares the call, from the gateway if it is offered there, from this service, or from an operator. The broker checks
 * requests too, but not when they are dead-lettered.
 * @throws UnauthorizedSender
 */
export function checkSender(
  contract: { kind: string; name: string; service: string },
  { sender, wasDeadLetteredElsewhere }: Pick<Origin, 'sender' | 'wasDeadLetteredElsewhere'>,
  { login, operator }: BrokerIdentity,
  grants: Pick<Grants, 'mayCall'>,
): void {
  const { kind, name, service } = contract;
  const from = sender === undefined ? 'a sender without identity' : sender;
  if (kind === 'event') {
    if (sender !== service)
      throw new UnauthorizedSender(`${name} came from ${from}: only ${service} may publish it`);
    if (wasDeadLetteredElsewhere)
      throw new UnauthorizedSender(`${name} of ${service} was dead-lettered by another queue`);
    return;
  }
  if (sender === undefined) throw new UnauthorizedSender(`${name} came from ${from}`);
  if (sender === login || sender === operator || grants.mayCall(sender, name)) return;
  throw new UnauthorizedSender(`${name} came from ${from}, which may not call it`);
}
