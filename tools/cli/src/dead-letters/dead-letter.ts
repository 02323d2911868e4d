import { createHash } from 'node:crypto';
import { replayedForHeader, senderHeader } from '@jogakbo/messaging/identity';
import { editedFromHeader, markHeader } from '@jogakbo/messaging/marks';
import { queues } from '@jogakbo/messaging/topology';
import { type ConsumeMessage } from 'amqplib';
import { CliError } from '../terminal/cli-error.ts';

/** A message in the dead-letter queue of a service. */
export interface DeadLetter {
  service: string;
  /** The login that published it, verified by the broker. All other content of a letter is only claimed by this login. */
  login: string | undefined;
  /** The message id; a hash of the content if the message has none. */
  id: string;
  /** Unique among the dead letters of the service: the id, with a number appended for duplicates. */
  key: string;
  /** The contract's name; undefined if the body cannot be parsed. */
  type: string | undefined;
  cause: string;
  /** The queue where it failed. A replay sends it there. */
  queue: string | undefined;
  failures: number;
  firstFailedAt: string | undefined;
  lastFailedAt: string | undefined;
  traceId: string | undefined;
  stack: string | undefined;
  /** The handler's input; the whole body if it cannot be parsed. */
  data: unknown;
  /** True if `data` is a JWE that only the service can decrypt. A replay sends it unchanged. */
  encrypted: boolean;
  headers: Record<string, unknown>;
  message: ConsumeMessage;
}

interface Death {
  queue: string;
  reason: string;
  /** ISO 8601. */
  at: string | undefined;
}

/** Parses `x-death`: the queues that dead-lettered a message, the latest first. The sender may have forged it in any form. */
function parseDeaths(headers: Record<string, unknown>): Death[] {
  const all: unknown = headers['x-death'];
  if (!Array.isArray(all)) return [];
  return all.map((death: unknown) => {
    const { queue, reason, time } = (death ?? {}) as { queue?: unknown; reason?: unknown; time?: unknown };
    const at = new Date(Number((time as { value?: unknown } | null | undefined)?.value) * 1_000);
    return {
      queue: asString(queue) ?? '',
      reason: asString(reason) ?? 'unknown',
      at: Number.isNaN(at.getTime()) ? undefined : at.toISOString(),
    };
  });
}

/** Headers about failures and headers of the broker. A replay removes them. */
const failureHeaders =
  /^(failures|cause|stack|queue|deadline|first-failed-at|last-failed-at|x-death|x-first-.*|x-last-.*|x-delivery-count|x-acquired-count|x-opt-.*)$/;

export const buildReplayHeaders = (headers: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !failureHeaders.test(name)));

/** Headers of an edit, and headers that would route copies to other queues under the login of the broker operator. */
const editHeaders = new Set<string>([editedFromHeader, 'edited-by', 'edited-at']);
const copyHeaders = new Set(['CC', 'BCC']);

/**
 * Headers for the broker operator to resend a letter to its own service only. The service verifies the mark.
 *
 * The letter was published by … → its sender is … (what that prevents):
 * - the service or the operator, with a mark → the sender that the mark covers
 * - the operator, for this service, without a mark → the sender that it stated when it resent the letter
 * - the operator, for another service → unknown (a letter resent to one service is accepted as authentic by another)
 * - any login, but a queue of another service held it → unknown (a service dead-letters what it got into another's queue)
 * - any other login → that login (it copies a mark or a sender from another message)
 * @param brokerOperator the login that resends it
 */
export function buildResendHeaders(letter: DeadLetter, brokerOperator: string): Record<string, unknown> {
  const { service, login, headers } = letter;
  const isReplay = login === brokerOperator && headers[replayedForHeader] === service;
  const isMarked = markHeader in headers && (login === brokerOperator || login === service);
  const kept = Object.entries(headers).filter(
    ([name]) =>
      !copyHeaders.has(name) && (isReplay || !editHeaders.has(name)) && (isMarked || name !== markHeader),
  );
  const hasSender = isMarked || (isReplay && typeof headers.sender === 'string');
  const isForOther = login === brokerOperator && replayedForHeader in headers && !isReplay;
  const knownLogin = isForOther || isFromElsewhere(letter) ? undefined : login;
  return {
    ...Object.fromEntries(kept),
    ...(hasSender ? {} : senderHeader(knownLogin)),
    [replayedForHeader]: service,
  };
}

/** Whether a queue of another service held it before. Its sender then did not send it to this service. */
function isFromElsewhere({ service, headers }: DeadLetter): boolean {
  const own = [queues.commands(service), queues.events(service), queues.queries(service)];
  const isOwn = (queue: string) =>
    queue.startsWith('retry.') || own.some((one) => queue === one || queue.startsWith(`${one}@`));
  return parseDeaths(headers).some(({ queue }) => !isOwn(queue));
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Parses the body. Undefined unless it is a JSON object in UTF-8 with a type. */
function parseBody(content: Buffer): { type: string; data: unknown; encrypted: boolean } | undefined {
  try {
    const body = JSON.parse(utf8.decode(content)) as Record<string, unknown> | null;
    const type = body?.pattern ?? body?.type;
    const encrypted = body?.datacontenttype === 'application/jose';
    return typeof type === 'string' ? { type, data: body!.data, encrypted } : undefined;
  } catch {
    return undefined;
  }
}

/** Replaces the data of a body. A body that cannot be parsed is replaced as a whole. */
export function replaceData(content: Buffer, data: unknown): Buffer {
  const body = parseBody(content) ? { ...JSON.parse(utf8.decode(content)), data } : data;
  return Buffer.from(JSON.stringify(body));
}

const computeId = (content: Buffer): string =>
  `sha-${createHash('sha256').update(content).digest('hex').slice(0, 16)}`;

const asString = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

type Failure = Pick<DeadLetter, 'cause' | 'queue' | 'failures' | 'firstFailedAt' | 'lastFailedAt' | 'stack'>;

function toFailure({ properties }: ConsumeMessage, brokerOperator: string | undefined): Failure {
  const headers = (properties.headers ?? {}) as Record<string, unknown>;
  const [latest] = parseDeaths(headers);
  // The service rejected an unauthorized sender. Headers of that login must not appear as if the service had written them.
  if (latest?.reason === 'rejected') {
    const login = asString(properties.userId) || 'a login that is not known';
    return {
      cause: `UnauthorizedSender: ${login === brokerOperator ? 'its first sender' : login} may not send it`,
      queue: latest.queue,
      failures: 1,
      firstFailedAt: latest.at,
      lastFailedAt: latest.at,
      stack: undefined,
    };
  }
  // Without a cause from a handler, use the broker's reason: consumers crashed repeatedly on this message.
  const death = parseDeaths(headers).find(({ queue }) => !queue.startsWith('retry.'));
  return {
    cause: asString(headers.cause) ?? `${death?.reason ?? 'unknown'} (dead-lettered by the broker)`,
    queue: asString(headers.queue) ?? death?.queue,
    failures: Number(headers.failures ?? headers['x-delivery-count'] ?? 0),
    firstFailedAt: asString(headers['first-failed-at']) ?? death?.at,
    lastFailedAt: asString(headers['last-failed-at']) ?? death?.at,
    stack: asString(headers.stack),
  };
}

/** @param brokerOperator the login that resends messages of other senders */
export function toDeadLetter(service: string, message: ConsumeMessage, brokerOperator?: string): DeadLetter {
  const headers = (message.properties.headers ?? {}) as Record<string, unknown>;
  const body = parseBody(message.content);
  const id = asString(message.properties.messageId) || computeId(message.content);
  return {
    service,
    login: asString(message.properties.userId) || undefined,
    id,
    key: id,
    type: body?.type,
    ...toFailure(message, brokerOperator),
    traceId: /^00-([0-9a-f]{32})-/.exec(asString(headers.traceparent) ?? '')?.[1],
    data: body ? body.data : message.content.toString(),
    encrypted: body?.encrypted ?? false,
    headers,
    message,
  };
}

/** Gives each letter a unique key, also to those with the same id. @param letters of one service, in queue order */
export function assignKeys(letters: readonly DeadLetter[]): void {
  const seen = new Map<string, number>();
  for (const letter of letters) {
    const count = (seen.get(letter.id) ?? 0) + 1;
    seen.set(letter.id, count);
    letter.key = count === 1 ? letter.id : `${letter.id}~${count}`;
  }
}

export interface DeadGroup {
  /** Stable while other groups change. */
  id: string;
  service: string;
  type: string;
  cause: string;
  letters: DeadLetter[];
}

/** Replaces ids and numbers, which differ between messages with the same cause. */
const generalizeCause = (cause: string): string =>
  cause
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi, '<id>')
    .replace(/\d+/g, '<n>');

const computeGroupId = (key: string): string => createHash('sha256').update(key).digest('hex').slice(0, 6);

/** Groups letters by service, type and cause, oldest first. */
export function groupLetters(letters: readonly DeadLetter[]): DeadGroup[] {
  const groups = Map.groupBy(
    letters,
    ({ service, type, cause }) => `${service}\n${type}\n${generalizeCause(cause)}`,
  );
  const since = ({ letters }: DeadGroup) =>
    letters.map(({ firstFailedAt }) => firstFailedAt ?? '').sort()[0]!;
  return [...groups]
    .map(([key, letters]) => ({
      id: computeGroupId(key),
      service: letters[0]!.service,
      type: letters[0]!.type ?? '(unreadable)',
      cause: letters.length > 1 ? generalizeCause(letters[0]!.cause) : letters[0]!.cause,
      letters,
    }))
    .sort((a, b) => since(a).localeCompare(since(b)));
}

/** Finds groups by id, by type or by a prefix of the cause. */
export function findGroups(groups: readonly DeadGroup[], name: string): DeadGroup[] {
  const exact = groups.filter((group) => group.id === name);
  if (exact.length > 0) return exact;
  return groups.filter(
    ({ type, cause, letters }) =>
      type === name || cause.startsWith(name) || letters.some((letter) => letter.cause.startsWith(name)),
  );
}

/**
 * Finds a letter by its key or a unique prefix of it.
 * @param details for the error if none matches, such as letters that were not read
 * @throws CliError if none or several match
 */
export function findLetter(
  letters: readonly DeadLetter[],
  id: string,
  details: readonly string[] = [],
): DeadLetter {
  const found = letters.filter(({ key }) => key.startsWith(id));
  const exact = found.filter(({ key }) => key === id);
  const matches = exact.length > 0 ? exact : found;
  if (!matches[0])
    throw new CliError(`There is no dead letter ${id}.`, {
      details: [...details],
      remedies: ['npx jogakbo dead list'],
    });
  if (matches.length > 1) {
    throw new CliError(`${id} matches ${matches.length} dead letters.`, {
      details: matches.map(({ service, key }) => `${service}  ${key}`),
      remedies: ['use a longer prefix of the id', 'or name the service:  --service <service>'],
    });
  }
  return matches[0];
}
