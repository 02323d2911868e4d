import { createHash } from 'node:crypto';
import { replayedForHeader, senderHeader } from '@jogakbo/messaging/identity';
import { editedFromHeader, markHeader } from '@jogakbo/messaging/marks';
import { queues } from '@jogakbo/messaging/topology';
import { type ConsumeMessage } from 'amqplib';
import { CliError } from '../terminal/cli-error.ts';

/** A message that a service gave up, as it lies in its dead-letter queue. */
export interface DeadLetter {
  service: string;
  /** The login that put it there, as the broker vouches for it. Everything else in a letter is that login's word. */
  login: string | undefined;
  /** Of the message; where it has none, it is named by its content. */
  id: string;
  /** What tells it from other dead letters of its service: the id; with a number behind it where a letter before it has the same. */
  name: string;
  /** The contract's name; undefined where the body cannot be read. */
  type: string | undefined;
  cause: string;
  /** Where it failed, and where a replay brings it. */
  queue: string | undefined;
  failures: number;
  firstFailedAt: string | undefined;
  lastFailedAt: string | undefined;
  traceId: string | undefined;
  stack: string | undefined;
  /** What the handler gets; the whole text where the body cannot be read. */
  data: unknown;
  /** True where `data` is a JWE that only the service can decrypt. A replay sends it on as it is. */
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

/** What the broker wrote of the queues that gave a message up, last one first; or its sender, in whatever form. */
function deathsIn(headers: Record<string, unknown>): Death[] {
  const all: unknown = headers['x-death'];
  if (!Array.isArray(all)) return [];
  return all.map((death: unknown) => {
    const { queue, reason, time } = (death ?? {}) as { queue?: unknown; reason?: unknown; time?: unknown };
    const at = new Date(Number((time as { value?: unknown } | null | undefined)?.value) * 1_000);
    return {
      ...{ queue: text(queue) ?? '', reason: text(reason) ?? 'unknown' },
      at: Number.isNaN(at.getTime()) ? undefined : at.toISOString(),
    };
  });
}

/** Headers that tell of the failures; a replay begins without them, and without what the broker wrote. */
const ofFailure =
  /^(failures|cause|stack|queue|rung|deadline|first-failed-at|last-failed-at|x-death|x-first-.*|x-last-.*|x-delivery-count|x-acquired-count|x-opt-.*)$/;

export const headersForReplay = (headers: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !ofFailure.test(name)));

/** Of an operator's edit; and headers that would send copies elsewhere, in the name of who sends the letter on. */
const ofEdit = new Set<string>([editedFromHeader, 'edited-by', 'edited-at']);
const ofCopies = new Set(['CC', 'BCC']);

/**
 * Headers with which an operator sends a letter on, to its own service and to no other. The service verifies its mark.
 * A mark that another login put there counts for nothing: then the letter is of the login that the broker vouches for.
 * @param operator the login that sends it on
 */
export function headersFromOperator(letter: DeadLetter, operator: string): Record<string, unknown> {
  const { service, login, headers } = letter;
  const isReplay = login === operator && headers[replayedForHeader] === service;
  const isMarked = markHeader in headers && (login === operator || login === service);
  const kept = Object.entries(headers).filter(
    ([name]) => !ofCopies.has(name) && (isReplay || !ofEdit.has(name)) && (isMarked || name !== markHeader),
  );
  const isSaid = isMarked || (isReplay && typeof headers.sender === 'string');
  const isForOther = login === operator && replayedForHeader in headers && !isReplay;
  const certain = isForOther || isFromElsewhere(letter) ? undefined : login;
  return {
    ...Object.fromEntries(kept),
    ...(isSaid ? {} : senderHeader(certain)),
    [replayedForHeader]: service,
  };
}

/** Whether a queue that is not the service's held it before: its sender did not send it here, or not now. */
function isFromElsewhere({ service, headers }: DeadLetter): boolean {
  const own = [queues.commands(service), queues.events(service), queues.queries(service)];
  const isOwn = (queue: string) =>
    queue.startsWith('retry.') || own.some((one) => queue === one || queue.startsWith(`${one}@`));
  return deathsIn(headers).some(({ queue }) => !isOwn(queue));
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The body, where it is a JSON object in UTF-8 that names its type. */
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

/** The same body with other data. What could not be read is replaced as a whole. */
export function contentWith(content: Buffer, data: unknown): Buffer {
  const body = parseBody(content) ? { ...JSON.parse(utf8.decode(content)), data } : data;
  return Buffer.from(JSON.stringify(body));
}

const idByContent = (content: Buffer): string =>
  `sha-${createHash('sha256').update(content).digest('hex').slice(0, 16)}`;

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

type Failure = Pick<DeadLetter, 'cause' | 'queue' | 'failures' | 'firstFailedAt' | 'lastFailedAt' | 'stack'>;

function toFailure({ properties }: ConsumeMessage, operator: string | undefined): Failure {
  const headers = (properties.headers ?? {}) as Record<string, unknown>;
  const [latest] = deathsIn(headers);
  // A service rejects what its sender may not send. What that login wrote is not shown as if the service had written it.
  if (latest?.reason === 'rejected') {
    const login = text(properties.userId) || 'a login that is not known';
    return {
      cause: `UnauthorizedSender: ${login === operator ? 'its first sender' : login} may not send it`,
      ...{ queue: latest.queue, failures: 1, firstFailedAt: latest.at, lastFailedAt: latest.at },
      stack: undefined,
    };
  }
  // Where no handler lived to say why, the broker did: a message that its consumers died of, again and again.
  const death = deathsIn(headers).find(({ queue }) => !queue.startsWith('retry.'));
  return {
    cause: text(headers.cause) ?? `${death?.reason ?? 'unknown'} (put away by the broker)`,
    queue: text(headers.queue) ?? death?.queue,
    failures: Number(headers.failures ?? headers['x-delivery-count'] ?? 0),
    firstFailedAt: text(headers['first-failed-at']) ?? death?.at,
    lastFailedAt: text(headers['last-failed-at']) ?? death?.at,
    stack: text(headers.stack),
  };
}

/** @param operator the login of those who operate the broker: they send again what others sent at first */
export function toDeadLetter(service: string, message: ConsumeMessage, operator?: string): DeadLetter {
  const headers = (message.properties.headers ?? {}) as Record<string, unknown>;
  const body = parseBody(message.content);
  const id = text(message.properties.messageId) || idByContent(message.content);
  return {
    service,
    login: text(message.properties.userId) || undefined,
    id,
    name: id,
    type: body?.type,
    ...toFailure(message, operator),
    traceId: /^00-([0-9a-f]{32})-/.exec(text(headers.traceparent) ?? '')?.[1],
    data: body ? body.data : message.content.toString(),
    encrypted: body?.encrypted ?? false,
    headers,
    message,
  };
}

/** Gives the letters of one service, in the order of their queue, names that differ where ids do not. */
export function nameTwins(letters: readonly DeadLetter[]): void {
  const seen = new Map<string, number>();
  for (const letter of letters) {
    const count = (seen.get(letter.id) ?? 0) + 1;
    seen.set(letter.id, count);
    letter.name = count === 1 ? letter.id : `${letter.id}~${count}`;
  }
}

export interface DeadGroup {
  /** Stays the same, whatever comes and goes. */
  name: string;
  service: string;
  type: string;
  cause: string;
  letters: DeadLetter[];
}

/** Ids and numbers differ from message to message where the fault is the same. */
const general = (cause: string): string =>
  cause
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi, '<id>')
    .replace(/\d+/g, '<n>');

const groupName = (key: string): string => createHash('sha256').update(key).digest('hex').slice(0, 6);

/** By service, type and cause; oldest first. */
export function groupLetters(letters: readonly DeadLetter[]): DeadGroup[] {
  const groups = Map.groupBy(letters, ({ service, type, cause }) => `${service}\n${type}\n${general(cause)}`);
  const since = ({ letters }: DeadGroup) =>
    letters.map(({ firstFailedAt }) => firstFailedAt ?? '').sort()[0]!;
  return [...groups]
    .map(([key, letters]) => ({
      name: groupName(key),
      service: letters[0]!.service,
      type: letters[0]!.type ?? '(unreadable)',
      cause: letters.length > 1 ? general(letters[0]!.cause) : letters[0]!.cause,
      letters,
    }))
    .sort((a, b) => since(a).localeCompare(since(b)));
}

/** The groups that are meant by the name of one, or by a type or (the beginning of) a cause. */
export function groupsNamed(groups: readonly DeadGroup[], name: string): DeadGroup[] {
  const exact = groups.filter((group) => group.name === name);
  if (exact.length > 0) return exact;
  return groups.filter(
    ({ type, cause, letters }) =>
      type === name || cause.startsWith(name) || letters.some((letter) => letter.cause.startsWith(name)),
  );
}

/** By its name, or the beginning of one. @throws Fault where it means none, or more than one message */
export function letterNamed(letters: readonly DeadLetter[], id: string): DeadLetter {
  const found = letters.filter(({ name }) => name.startsWith(id));
  const exact = found.filter(({ name }) => name === id);
  const meant = exact.length > 0 ? exact : found;
  if (!meant[0])
    throw new CliError(`There is no dead letter ${id}.`, { remedies: ['npx jogakbo dead list'] });
  if (meant.length > 1) {
    throw new CliError(`${id} means ${meant.length} dead letters.`, {
      details: meant.map(({ service, name }) => `${service}  ${name}`),
      remedies: ['give more of the id', 'or say whose:  --service <service>'],
    });
  }
  return meant[0];
}
