import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { computeDigest, editedFromHeader } from '@jogakbo/messaging/marks';
import { exchanges, queues } from '@jogakbo/messaging/topology';
import { audit, operator } from '../commands/audit.ts';
import { type DeadOptions } from '../commands/dead.ts';
import { contentWith, letterNamed, type DeadLetter } from './dead-letter.ts';
import { withDeadQueues } from './dead-queue.ts';
import { CliError, toMessage, UsageError } from '../terminal/cli-error.ts';
import { printable, shellWord } from '../terminal/printable.ts';
import { type State } from '../supervisor/state.ts';
import { getBrokerUrl } from '../supervisor/store-access.ts';

/** What the operator's editor makes of it. The draft is readable by nobody else, and gone afterwards. */
function throughEditor(before: string): string {
  const editor = process.env.VISUAL || process.env.EDITOR;
  if (!editor) {
    throw new UsageError('EDITOR is not set.', {
      remedies: [
        'EDITOR=nano npx jogakbo dead edit <id>',
        'or give the data:  --data <file>, or --data - for stdin',
      ],
    });
  }
  const folder = mkdtempSync(join(tmpdir(), 'jogakbo-edit-'));
  try {
    const draft = join(folder, 'data.json');
    writeFileSync(draft, before, { mode: 0o600 });
    // EDITOR may carry arguments, as in "code --wait".
    const { status } = spawnSync(`${editor} "$DRAFT"`, {
      shell: true,
      stdio: 'inherit',
      env: { ...process.env, DRAFT: draft },
    });
    if (status !== 0) throw new CliError(`The editor ended with code ${status}: nothing was changed.`);
    return readFileSync(draft, 'utf8');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readGiven(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new UsageError(`The data cannot be read: ${toMessage(error)}.`, {
      remedies: ['--data <file>, or --data - for stdin'],
    });
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new CliError(`This is not JSON: ${toMessage(error)}. Nothing was changed.`, {
      remedies: ['mend it and run the command again'],
    });
  }
}

/** Puts the message back among the dead letters with other data: whether it is replayed is decided by itself. */
export async function editLetter(
  state: State,
  id: string,
  services: readonly string[],
  { data: file }: DeadOptions,
): Promise<number> {
  const url = getBrokerUrl(state);
  const find = <T>(work: (letter: DeadLetter, queue: { move: MoveTo }) => Promise<T>) =>
    withDeadQueues(url, services, async (open) => {
      const letter = letterNamed(
        open.flatMap(({ letters }) => letters),
        id,
      );
      const queue = open.find(({ service }) => service === letter.service)!;
      return work(letter, { move: (...args) => queue.move(...args) });
    });
  // Nothing is held while the editor is open.
  const before = await find(async (letter) => letter);
  if (before.encrypted) {
    throw new CliError(`The data of ${before.id} is encrypted for ${before.service}: it cannot be edited.`, {
      remedies: [
        `npx jogakbo dead replay ${shellWord(before.id)}`,
        `or: npx jogakbo dead discard ${shellWord(before.id)}`,
      ],
    });
  }
  const draft = typeof before.data === 'string' && !before.type ? before.data : pretty(before.data);
  const data = parsed(file === undefined ? throughEditor(draft) : readGiven(file));
  if (before.type !== undefined && isDeepStrictEqual(data, before.data)) {
    console.log('Nothing was changed.');
    return 0;
  }
  return find(async (letter, { move }) => {
    if (!letter.message.content.equals(before.message.content)) {
      throw new CliError(`Somebody else edited ${letter.id} meanwhile: nothing was changed.`, {
        remedies: [`npx jogakbo dead show ${shellWord(letter.id)}`, 'then edit it again'],
      });
    }
    const { service } = letter;
    audit(state, { what: 'edit', service, ids: [letter.id] });
    await move(letter, {
      exchange: exchanges.dead(service),
      routingKey: queues.dead(service),
      content: contentWith(letter.message.content, data),
      headers: (kept) => ({
        // Of the first edit stays what was there before: the service's mark is for that.
        [editedFromHeader]: computeDigest(letter.message.content),
        ...kept,
        ...{ 'edited-by': operator(), 'edited-at': new Date().toISOString() },
      }),
    });
    console.log(
      `Edited ${printable(letter.id)}. To have it handled:  npx jogakbo dead replay ${shellWord(letter.id)}`,
    );
    return 0;
  });
}

type MoveTo = Parameters<Parameters<typeof withDeadQueues>[2]>[0][number]['move'];

const pretty = (data: unknown): string => `${JSON.stringify(data ?? null, null, 2)}\n`;
