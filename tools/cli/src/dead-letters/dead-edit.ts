import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { computeDigest, editedFromHeader } from '@jogakbo/messaging/marks';
import { exchanges, queues } from '@jogakbo/messaging/topology';
import { audit, getUserName } from '../supervisor/audit-log.ts';
import { replaceData, findLetter, type DeadLetter } from './dead-letter.ts';
import { describeUnread, withDeadQueues } from './dead-queue.ts';
import { CliError, toMessage, UsageError } from '../terminal/cli-error.ts';
import { toPrintable, quoteForShell } from '../terminal/printable.ts';
import { type StateFolder } from '../supervisor/state.ts';
import { getBrokerUrl } from '../supervisor/store-access.ts';

/** Edits a text in the operator's editor. The draft file has mode 0600 and is deleted afterwards. */
function openEditor(before: string): string {
  const editor = process.env.VISUAL || process.env.EDITOR;
  if (!editor) {
    throw new UsageError('EDITOR is not set.', {
      remedies: [
        'EDITOR=nano npx jogakbo dead edit <id>',
        'or pass the data:  --data <file>, or --data - for stdin',
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
    if (status !== 0) throw new CliError(`The editor exited with code ${status}. Nothing was changed.`);
    return readFileSync(draft, 'utf8');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readDataFile(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new UsageError(`The data cannot be read: ${toMessage(error)}.`, {
      remedies: ['--data <file>, or --data - for stdin'],
    });
  }
}

function parseData(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new CliError(`This is not JSON: ${toMessage(error)}. Nothing was changed.`, {
      remedies: ['fix the JSON and run the command again'],
    });
  }
}

/** Puts the message back into the dead-letter queue with new data. Replaying it is a separate step. */
export async function editLetter(
  state: StateFolder,
  id: string,
  services: readonly string[],
  file: string | undefined,
): Promise<number> {
  const url = getBrokerUrl(state);
  const withLetter = <T>(work: (letter: DeadLetter, queue: { move: MoveTo }) => Promise<T>) =>
    withDeadQueues(url, services, async (open) => {
      const letter = findLetter(
        open.flatMap(({ letters }) => letters),
        id,
        describeUnread(open),
      );
      const queue = open.find(({ service }) => service === letter.service)!;
      return work(letter, { move: (...args) => queue.move(...args) });
    });
  // No message stays unacknowledged while the editor is open.
  const before = await withLetter(async (letter) => letter);
  if (before.encrypted) {
    throw new CliError(`The data of ${before.id} is encrypted for ${before.service}: it cannot be edited.`, {
      remedies: [
        `npx jogakbo dead replay ${quoteForShell(before.id)}`,
        `or: npx jogakbo dead discard ${quoteForShell(before.id)}`,
      ],
    });
  }
  const draft = typeof before.data === 'string' && !before.type ? before.data : formatDraft(before.data);
  const data = parseData(file === undefined ? openEditor(draft) : readDataFile(file));
  if (before.type !== undefined && isDeepStrictEqual(data, before.data)) {
    console.log('Nothing was changed.');
    return 0;
  }
  return withLetter(async (letter, { move }) => {
    if (!letter.message.content.equals(before.message.content)) {
      throw new CliError(`${letter.id} was edited by another user in the meantime. Nothing was changed.`, {
        remedies: [`npx jogakbo dead show ${quoteForShell(letter.id)}`, 'then edit it again'],
      });
    }
    const { service } = letter;
    audit(state, { what: 'edit', service, ids: [letter.id] });
    await move(letter, {
      exchange: exchanges.dead(service),
      routingKey: queues.dead(service),
      content: replaceData(letter.message.content, data),
      headers: (all) => ({
        // Later edits keep the digest of the original content, because the service's mark covers that content.
        [editedFromHeader]: computeDigest(letter.message.content),
        ...all,
        'edited-by': getUserName(),
        'edited-at': new Date().toISOString(),
      }),
    });
    console.log(
      `Edited ${toPrintable(letter.id)}. To process it:  npx jogakbo dead replay ${quoteForShell(letter.id)}`,
    );
    return 0;
  });
}

type MoveTo = Parameters<Parameters<typeof withDeadQueues>[2]>[0][number]['move'];

const formatDraft = (data: unknown): string => `${JSON.stringify(data ?? null, null, 2)}\n`;
