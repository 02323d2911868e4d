import { findGroups, groupLetters, type DeadGroup, type DeadLetter } from './dead-letter.ts';
import { type DeadQueue, type Waiting, describeUnread } from './dead-queue.ts';
import { CliError } from '../terminal/cli-error.ts';
import { toPrintableJson, toPrintableLines } from '../terminal/printable.ts';
import { formatDuration, formatTable } from '../terminal/text-table.ts';

const formatAge = (time: string | undefined, now: number): string =>
  time ? formatDuration(Math.max(0, now - Date.parse(time))) : '';

const truncateFirstLine = (text: string, length: number): string => {
  const line = text.split('\n')[0]!;
  return line.length > length ? `${line.slice(0, length - 1)}…` : line;
};

const getFailureTimes = ({ letters }: DeadGroup) => {
  const all = letters.flatMap(({ lastFailedAt }) => lastFailedAt ?? []).sort();
  return { oldest: all[0], newest: all.at(-1) };
};

/** A letter for JSON output, without the AMQP message. */
const toPlainLetter = ({ message, key, ...letter }: DeadLetter) => ({
  ...letter,
  name: key,
  replyTo: message.properties.replyTo as string | undefined,
});

/** The number of messages waiting for a retry, by retry delay. */
function formatWaiting(waiting: readonly Waiting[]): string {
  const total = waiting.reduce((sum, { count }) => sum + count, 0);
  const each = waiting.map(({ count, milliseconds }) => `${count} within ${formatDuration(milliseconds)}`);
  return `${total} failed messages will be retried: ${each.join(', ')}.`;
}

/** A group for JSON output. */
const toPlainGroup = (one: DeadGroup) => ({
  group: one.id,
  service: one.service,
  type: one.type,
  cause: one.cause,
  count: one.letters.length,
  ...getFailureTimes(one),
  ids: one.letters.map(({ key }) => key),
});

/** One row per group. */
function buildGroupRows(groups: readonly DeadGroup[], now: number): string[][] {
  const head = ['group', 'service', 'count', 'oldest', 'newest', 'type', 'for example', 'cause'];
  const rows = groups.map((one) => {
    const { oldest, newest } = getFailureTimes(one);
    const ages = [formatAge(oldest, now), formatAge(newest, now)];
    const cause = truncateFirstLine(one.cause, 90);
    const { id, service, type, letters } = one;
    return [id, service, String(letters.length), ...ages, type, letters[0]!.key, cause];
  });
  return [head, ...rows];
}

/** One row per letter. */
function buildLetterRows(groups: readonly DeadGroup[], now: number): string[][] {
  const head = ['group', 'service', 'failures', 'first', 'last', 'type', 'id', 'cause'];
  const rows = groups.flatMap(({ id, service, type, letters }) =>
    letters.map((letter) => {
      const ages = [formatAge(letter.firstFailedAt, now), formatAge(letter.lastFailedAt, now)];
      const cause = truncateFirstLine(letter.cause, 90);
      return [id, service, String(letter.failures), ...ages, type, letter.key, cause];
    }),
  );
  return [head, ...rows];
}

export function listLetters(
  queues: readonly DeadQueue[],
  waiting: readonly Waiting[],
  { json, group }: { json?: boolean; group?: string },
): number {
  const letters = queues.flatMap((queue) => queue.letters);
  const all = groupLetters(letters);
  const shown = group === undefined ? all : findGroups(all, group);
  if (group !== undefined && shown.length === 0) {
    throw new CliError(`There is no group "${group}".`, { remedies: ['npx jogakbo dead list'] });
  }
  if (json) {
    const unread = queues.reduce((sum, queue) => sum + queue.unread, 0);
    console.log(toPrintableJson({ total: letters.length, unread, waiting, groups: shown.map(toPlainGroup) }));
    return 0;
  }
  if (waiting.length) console.log(`${formatWaiting(waiting)}\n`);
  if (letters.length === 0) {
    console.log('No dead letters.');
    return 0;
  }
  const buildRows = group === undefined ? buildGroupRows : buildLetterRows;
  console.log(formatTable(buildRows(shown, Date.now())).join('\n'));
  for (const text of describeUnread(queues)) console.log(`\n${text}`);
  return 0;
}

/** Flags letters published by another login: their sender and cause are only claimed by that login. */
const describePublisher = ({ login, service }: DeadLetter): string =>
  login === undefined || login === service ? (login ?? 'unknown') : `${login} (not ${service})`;

/** Indents lines so that they cannot be mistaken for CLI output. */
const indentLines = (text: string): string => toPrintableLines(text).replaceAll(/^/gm, '  ');

export function showLetter(letter: DeadLetter, { json }: { json?: boolean }): number {
  if (json) {
    console.log(toPrintableJson(toPlainLetter(letter)));
    return 0;
  }
  const { stack: _stack, 'x-death': _death, ...headers } = letter.headers;
  const now = Date.now();
  const ago = (time: string | undefined) => (time ? `${time} (${formatAge(time, now)} ago)` : 'unknown');
  const rows = [
    ['id', letter.id],
    ['service', letter.service],
    ['published by', describePublisher(letter)],
    ['type', letter.type ?? '(unreadable)'],
    ['cause', letter.cause],
    ['queue', letter.queue ?? 'unknown'],
    ['failures', String(letter.failures)],
    ['first failed', ago(letter.firstFailedAt)],
    ['last failed', ago(letter.lastFailedAt)],
    ['trace', letter.traceId ?? 'none'],
    ...(headers['edited-by'] ? [['edited', `${headers['edited-at']} by ${headers['edited-by']}`]] : []),
  ];
  const body = letter.type ? toPrintableJson(letter.data ?? null) : indentLines(String(letter.data));
  const headerRows = Object.entries(headers).map(([name, value]) => [
    name,
    typeof value === 'string' ? truncateFirstLine(value, 200) : JSON.stringify(value),
  ]);
  const title = letter.encrypted
    ? `data (encrypted: only ${letter.service} can read it; a replay sends it unchanged):`
    : 'data:';
  console.log([...formatTable(rows), '', title, body].join('\n'));
  console.log(['', 'headers:', ...(headerRows.length ? formatTable(headerRows, '  ') : [])].join('\n'));
  if (letter.stack) console.log(`\nstack:\n${indentLines(letter.stack)}`);
  return 0;
}
