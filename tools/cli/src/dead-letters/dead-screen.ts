import { type DeadOptions } from '../commands/dead.ts';
import { groupsNamed, groupLetters, type DeadGroup, type DeadLetter } from './dead-letter.ts';
import { type DeadQueue, type Waiting, window } from './dead-queue.ts';
import { CliError } from '../terminal/cli-error.ts';
import { printableJson, printableLines } from '../terminal/printable.ts';
import { duration, textTable } from '../terminal/text-table.ts';

const age = (time: string | undefined, now: number): string =>
  time ? duration(Math.max(0, now - Date.parse(time))) : '';

const firstLine = (text: string, length: number): string => {
  const line = text.split('\n')[0]!;
  return line.length > length ? `${line.slice(0, length - 1)}…` : line;
};

const times = ({ letters }: DeadGroup) => {
  const all = letters.flatMap(({ lastFailedAt }) => lastFailedAt ?? []).sort();
  return { oldest: all[0], newest: all.at(-1) };
};

/** Without what only this process knows. */
const plain = ({ message, ...letter }: DeadLetter) => ({
  ...letter,
  replyTo: message.properties.replyTo as string | undefined,
});

/** Failed, and not given up yet, by retry delay. */
function waitingLine(waiting: readonly Waiting[]): string {
  const total = waiting.reduce((sum, { count }) => sum + count, 0);
  const each = waiting.map(({ count, milliseconds }) => `${count} within ${duration(milliseconds)}`);
  return `${total} failed and will be tried again: ${each.join(', ')}.`;
}

export function listLetters(
  queues: readonly DeadQueue[],
  waiting: readonly Waiting[],
  { json, group }: DeadOptions,
): number {
  const letters = queues.flatMap((queue) => queue.letters);
  const all = groupLetters(letters);
  const shown = group === undefined ? all : groupsNamed(all, group);
  if (group !== undefined && shown.length === 0) {
    throw new CliError(`There is no group "${group}".`, { remedies: ['npx jogakbo dead list'] });
  }
  if (json) {
    const groups = shown.map((one) => ({
      group: one.name,
      ...{ service: one.service, type: one.type, cause: one.cause, count: one.letters.length },
      ...times(one),
      ids: one.letters.map(({ name }) => name),
    }));
    console.log(printableJson({ total: letters.length, waiting, groups }));
    return 0;
  }
  if (waiting.length) console.log(`${waitingLine(waiting)}\n`);
  if (letters.length === 0) {
    console.log('No dead letters.');
    return 0;
  }
  const now = Date.now();
  const rows =
    group === undefined
      ? shown.map((one) => [
          ...[one.name, one.service, String(one.letters.length)],
          ...[age(times(one).oldest, now), age(times(one).newest, now), one.type],
          ...[one.letters[0]!.name, firstLine(one.cause, 90)],
        ])
      : shown.flatMap((one) =>
          one.letters.map((letter) => [
            ...[one.name, one.service, String(letter.failures)],
            ...[age(letter.firstFailedAt, now), age(letter.lastFailedAt, now), one.type],
            ...[letter.name, firstLine(letter.cause, 90)],
          ]),
        );
  const head =
    group === undefined
      ? ['group', 'service', 'count', 'oldest', 'newest', 'type', 'for example', 'cause']
      : ['group', 'service', 'failures', 'first', 'last', 'type', 'id', 'cause'];
  console.log(textTable([head, ...rows]).join('\n'));
  for (const { service, letters } of queues) {
    if (letters.length === window) console.log(`\nOnly the first ${window} of ${service} are shown.`);
  }
  return 0;
}

/** What another login put among the dead letters is that one's word, whatever it says of its sender and its cause. */
const putHereBy = ({ login, service }: DeadLetter): string =>
  login === undefined || login === service ? (login ?? 'unknown') : `${login} (not ${service})`;

/** Lines that cannot be taken for ours. */
const indented = (text: string): string => printableLines(text).replaceAll(/^/gm, '  ');

export function showLetter(letter: DeadLetter, { json }: DeadOptions): number {
  if (json) {
    console.log(printableJson(plain(letter)));
    return 0;
  }
  const { stack: _stack, 'x-death': _death, ...headers } = letter.headers;
  const now = Date.now();
  const ago = (time: string | undefined) => (time ? `${time} (${age(time, now)} ago)` : 'unknown');
  const rows = [
    ['id', letter.id],
    ['service', letter.service],
    ['put here by', putHereBy(letter)],
    ['type', letter.type ?? '(unreadable)'],
    ['cause', letter.cause],
    ['queue', letter.queue ?? 'unknown'],
    ['failures', String(letter.failures)],
    ['first failed', ago(letter.firstFailedAt)],
    ['last failed', ago(letter.lastFailedAt)],
    ['trace', letter.traceId ?? 'none'],
    ...(headers['edited-by'] ? [['edited', `${headers['edited-at']} by ${headers['edited-by']}`]] : []),
  ];
  const body = letter.type ? printableJson(letter.data ?? null) : indented(String(letter.data));
  const headerRows = Object.entries(headers).map(([name, value]) => [
    name,
    typeof value === 'string' ? firstLine(value, 200) : JSON.stringify(value),
  ]);
  const title = letter.encrypted
    ? `data (encrypted: only ${letter.service} can read it; a replay sends it on unchanged):`
    : 'data:';
  console.log([...textTable(rows), '', title, body].join('\n'));
  console.log(['', 'headers:', ...(headerRows.length ? textTable(headerRows, '  ') : [])].join('\n'));
  if (letter.stack) console.log(`\nstack:\n${indented(letter.stack)}`);
  return 0;
}
