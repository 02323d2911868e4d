import { setTimeout as pause } from 'node:timers/promises';
import { exchanges, queues } from '@jogakbo/messaging/topology';
import { audit } from '../supervisor/audit-log.ts';
import { confirm, parseRate } from '../terminal/confirm.ts';
import { editLetter } from '../dead-letters/dead-edit.ts';
import {
  findGroups,
  groupLetters,
  buildReplayHeaders,
  findLetter,
  type DeadLetter,
} from '../dead-letters/dead-letter.ts';
import { describeUnread, withDeadQueues, type DeadQueue } from '../dead-letters/dead-queue.ts';
import { listLetters, showLetter } from '../dead-letters/dead-screen.ts';
import { CliError, toMessage, UsageError } from '../terminal/cli-error.ts';
import { quoteForShell, toPrintable } from '../terminal/printable.ts';
import { type StateFolder } from '../supervisor/state.ts';
import { openRunningState } from '../supervisor/running-state.ts';
import { getBrokerUrl } from '../supervisor/store-access.ts';
import { listApps } from '../workspace.ts';

export interface ListOptions {
  service?: string;
  group?: string;
  json?: boolean;
}

export interface SelectOptions {
  group?: string;
  all?: boolean;
  service?: string;
  yes?: boolean;
  rate?: string;
}

const remedies = ['npx jogakbo dead list', 'npx jogakbo dead --help'];

/** The named service, else all services. */
function selectServices(service: string | undefined): string[] {
  const known = listApps().map(({ name }) => name);
  if (service === undefined) return known;
  if (known.includes(service)) return [service];
  throw new UsageError(`There is no service called ${service}.`, {
    remedies: [`one of ${known.join(', ')}`],
  });
}

const flattenLetters = (queues: readonly DeadQueue[]): DeadLetter[] =>
  queues.flatMap(({ letters }) => letters);

/** Selects the letters to replay or discard. */
function selectLetters(queues: readonly DeadQueue[], id: string | undefined, { group, all }: SelectOptions) {
  if ([id, group, all].filter((one) => one !== undefined).length !== 1) {
    throw new UsageError('Specify the dead letters: an id, --group, or --all.', { remedies });
  }
  const letters = flattenLetters(queues);
  if (all) return letters;
  if (id !== undefined) {
    return [findLetter(letters, id, describeUnread(queues))];
  }
  const groups = findGroups(groupLetters(letters), group!);
  if (groups.length === 0)
    throw new CliError(`There is no group "${group}".`, { remedies: remedies.slice(0, 1) });
  return groups.flatMap((one) => one.letters);
}

/**
 * Requests with a reply address are not replayed, because their caller no longer waits. Prints how many are left out.
 * @throws CliError if the letter of `id` is one
 */
function withoutRequests(letters: readonly DeadLetter[], id: string | undefined): DeadLetter[] {
  const isRequest = ({ message }: DeadLetter) => message.properties.replyTo !== undefined;
  const requests = letters.filter(isRequest);
  if (id !== undefined && requests[0]) {
    const shown = quoteForShell(requests[0].key);
    throw new CliError(`${requests[0].key} is a request whose caller no longer waits: it is not replayed.`, {
      remedies: [`npx jogakbo dead show ${shown}`, `then:  npx jogakbo dead discard ${shown}`],
    });
  }
  if (requests.length > 0)
    console.log(`${requests.length} requests are left out, because their callers no longer wait.`);
  return letters.filter((letter) => !isRequest(letter));
}

function replayOne(queue: DeadQueue, letter: DeadLetter): Promise<void> {
  if (!letter.queue)
    throw new CliError(`${letter.id} cannot be replayed: it does not state which queue it failed in.`);
  // The queue is a header that the service could have set to any value, so only its own queues are accepted.
  const own = [queues.commands(letter.service), queues.events(letter.service)];
  if (!own.includes(letter.queue))
    throw new CliError(`${letter.id}: ${letter.queue} is not a queue of ${letter.service}.`);
  return queue.move(letter, {
    exchange: exchanges.dead(letter.service),
    routingKey: letter.queue,
    content: letter.message.content,
    headers: buildReplayHeaders,
  });
}

export async function replayOrDiscard(
  what: 'replay' | 'discard',
  id: string | undefined,
  options: SelectOptions,
): Promise<number> {
  refuseEmpty(id, options.group);
  const state = openRunningState();
  const rate = options.rate === undefined ? Infinity : parseRate(options.rate);
  const services = selectServices(options.service);
  const url = getBrokerUrl(state);
  const unread: string[] = [];
  // No letter stays unacknowledged during the confirmation.
  const selection = await withDeadQueues(url, services, async (queues) => {
    const letters = selectLetters(queues, id, options);
    if (id === undefined) unread.push(...describeUnread(queues));
    return what === 'replay' ? withoutRequests(letters, id) : letters;
  });
  if (selection.length === 0) {
    console.log(`There are no dead letters to ${what}.`);
    return 0;
  }
  for (const { service, type, cause, letters } of groupLetters(selection)) {
    console.log(toPrintable(`${service}: ${letters.length} × ${type}: ${cause}`));
  }
  const question = `${what === 'replay' ? 'Replay' : 'Permanently discard'} ${selection.length} dead letters?`;
  if (!(await confirm(question, options.yes))) {
    console.log('Nothing was changed.');
    return 1;
  }
  const wanted = new Set(selection.map(identify));
  return withDeadQueues(url, services, async (queues) => {
    const { done, failed } = await settleLetters(what, queues, wanted, state, rate);
    const moved = done - failed.length;
    console.log(
      `${what === 'replay' ? 'Replayed' : 'Discarded'} ${moved} of ${selection.length} dead letters.`,
    );
    for (const text of unread) console.log(`${text} Run the command again for them.`);
    // Some letters may have been handled elsewhere during the confirmation.
    if (failed.length === 0) return moved < selection.length || unread.length > 0 ? 1 : 0;
    throw new CliError(`${failed.length} dead letters could not be replayed and were kept.`, {
      details: failed.slice(0, 10),
      remedies: ['check that their services are running:  npx jogakbo ps', 'then replay them again'],
    });
  });
}

const identify = ({ service, key }: DeadLetter): string => `${service} ${key}`;

/**
 * Replays or discards the wanted letters that are still in these queues.
 * @param wanted what `identify` returns for them
 * @param rate replays per second
 */
async function settleLetters(
  what: 'replay' | 'discard',
  queues: readonly DeadQueue[],
  wanted: ReadonlySet<string>,
  state: StateFolder,
  rate: number,
): Promise<{ done: number; failed: string[] }> {
  let done = 0;
  const failed: string[] = [];
  const began = Date.now();
  for (const queue of queues) {
    const letters = queue.letters.filter((letter) => wanted.has(identify(letter)));
    if (letters.length === 0) continue;
    audit(state, { what, service: queue.service, ids: letters.map((letter) => letter.id) });
    for (const letter of letters) {
      if (what === 'discard') queue.discard(letter);
      else {
        await pause(Math.max(0, began + (done * 1_000) / rate - Date.now()));
        await replayOne(queue, letter).catch((error: unknown) => {
          failed.push(`${letter.service} ${letter.key}: ${toMessage(error)}`);
        });
      }
      done += 1;
    }
  }
  return { done, failed };
}

/** An empty prefix would match all letters. */
function refuseEmpty(...names: (string | undefined)[]): void {
  if (names.includes('')) throw new UsageError('The id or the group is empty.', { remedies });
}

export async function listDeadLetters(options: ListOptions): Promise<number> {
  refuseEmpty(options.service, options.group);
  return withDeadQueues(
    getBrokerUrl(openRunningState()),
    selectServices(options.service),
    async (queues, waiting) => listLetters(queues, waiting, options),
  );
}

export async function showDeadLetter(id: string, options: ListOptions): Promise<number> {
  refuseEmpty(id);
  return withDeadQueues(getBrokerUrl(openRunningState()), selectServices(options.service), async (queues) =>
    showLetter(findLetter(flattenLetters(queues), id, describeUnread(queues)), options),
  );
}

export async function editDeadLetter(
  id: string,
  { service, data }: { service?: string; data?: string },
): Promise<number> {
  refuseEmpty(id);
  return editLetter(openRunningState(), id, selectServices(service), data);
}
