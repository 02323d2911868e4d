import { setTimeout as pause } from 'node:timers/promises';
import { exchanges, queues } from '@jogakbo/messaging/topology';
import { audit } from './audit.ts';
import { confirm, parseRate } from '../terminal/confirm.ts';
import { editLetter } from '../dead-letters/dead-edit.ts';
import {
  groupsNamed,
  groupLetters,
  headersForReplay,
  letterNamed,
  type DeadLetter,
} from '../dead-letters/dead-letter.ts';
import { withDeadQueues, type DeadQueue } from '../dead-letters/dead-queue.ts';
import { listLetters, showLetter } from '../dead-letters/dead-screen.ts';
import { CliError, toMessage, UsageError } from '../terminal/cli-error.ts';
import { printable } from '../terminal/printable.ts';
import { openState } from '../supervisor/state.ts';
import { getBrokerUrl } from '../supervisor/store-access.ts';
import { listApps } from '../workspace.ts';

export interface DeadOptions {
  json?: boolean;
  data?: string;
  group?: string;
  all?: boolean;
  service?: string;
  yes?: boolean;
  rate?: string;
}

const remedies = ['npx jogakbo dead list', 'npx jogakbo dead --help'];

/** The services whose dead letters are meant: the one that was named, else all. */
function servicesNamed(service: string | undefined): string[] {
  const known = listApps().map(({ name }) => name);
  if (service === undefined) return known;
  if (known.includes(service)) return [service];
  throw new UsageError(`There is no service called ${service}.`, {
    remedies: [`one of ${known.join(', ')}`],
  });
}

const flattenLetters = (queues: readonly DeadQueue[]): DeadLetter[] =>
  queues.flatMap(({ letters }) => letters);

/** What a replay or a discard is about. */
function selected(letters: readonly DeadLetter[], id: string | undefined, { group, all }: DeadOptions) {
  if ([id, group, all].filter((one) => one !== undefined).length !== 1) {
    throw new UsageError('Say which dead letters are meant: an id, --group, or --all.', { remedies });
  }
  if (all) return letters;
  if (id !== undefined) {
    return [letterNamed(letters, id)];
  }
  const groups = groupsNamed(groupLetters(letters), group!);
  if (groups.length === 0)
    throw new CliError(`There is no group "${group}".`, { remedies: remedies.slice(0, 1) });
  return groups.flatMap((one) => one.letters);
}

/** A request that somebody waited for is not run after they have gone. */
const mayRun = ({ message }: DeadLetter): boolean => message.properties.replyTo === undefined;

function replayOne(queue: DeadQueue, letter: DeadLetter): Promise<void> {
  if (!letter.queue) throw new CliError(`${letter.id}: nothing says which queue it failed in.`);
  // A letter says where it failed, and its service could write anything there: it goes back to that service or nowhere.
  const own = [queues.commands(letter.service), queues.events(letter.service)];
  if (!own.includes(letter.queue))
    throw new CliError(`${letter.id}: ${letter.queue} is not a queue of ${letter.service}.`);
  return queue.move(letter, {
    exchange: exchanges.dead(letter.service),
    routingKey: letter.queue,
    content: letter.message.content,
    headers: headersForReplay,
  });
}

async function act(
  what: 'replay' | 'discard',
  id: string | undefined,
  options: DeadOptions,
): Promise<number> {
  const state = openState();
  const rate = parseRate(options.rate, 50);
  const services = servicesNamed(options.service);
  const url = getBrokerUrl(state);
  const key = ({ service, name }: DeadLetter) => `${service} ${name}`;
  // Nothing is held while somebody thinks about the question.
  const asked = await withDeadQueues(url, services, async (queues) => {
    const letters = selected(flattenLetters(queues), id, options);
    return what === 'replay' ? letters.filter(mayRun) : letters;
  });
  if (asked.length === 0) {
    console.log(`There is nothing to ${what}.`);
    return 0;
  }
  for (const { service, type, cause, letters } of groupLetters(asked)) {
    console.log(printable(`${service}: ${letters.length} × ${type}: ${cause}`));
  }
  const question = `${what === 'replay' ? 'Replay' : 'Discard for good'} ${asked.length} dead letters?`;
  if (!(await confirm(question, options.yes))) {
    console.log('Nothing was done.');
    return 1;
  }
  const wanted = new Set(asked.map(key));
  return withDeadQueues(url, services, async (queues) => {
    let done = 0;
    const failed: string[] = [];
    const began = Date.now();
    for (const queue of queues) {
      const letters = queue.letters.filter((letter) => wanted.has(key(letter)));
      if (letters.length === 0) continue;
      audit(state, { what, service: queue.service, ids: letters.map((letter) => letter.id) });
      for (const letter of letters) {
        if (what === 'discard') queue.discard(letter);
        else {
          await pause(Math.max(0, began + (done * 1_000) / rate - Date.now()));
          await replayOne(queue, letter).catch((error: unknown) => {
            failed.push(`${letter.service} ${letter.name}: ${toMessage(error)}`);
          });
        }
        done += 1;
      }
    }
    const moved = done - failed.length;
    console.log(`${what === 'replay' ? 'Replayed' : 'Discarded'} ${moved} of ${asked.length} dead letters.`);
    // Some may have gone another way while the question was open.
    if (failed.length === 0) return moved < asked.length ? 1 : 0;
    throw new CliError(`${failed.length} dead letters stayed where they are.`, {
      details: failed.slice(0, 10),
      remedies: ['start the services they belong to:  npx jogakbo ps', 'then replay again'],
    });
  });
}

/** `jogakbo dead list | show | edit | replay | discard`. */
export async function dead(options: DeadOptions, [verb, name, ...others]: string[]): Promise<number> {
  if (others.length) throw new UsageError(`"dead ${verb}" takes no "${others[0]}".`, { remedies });
  // Every id and every cause begins with nothing: that would mean them all.
  if (name === '' || options.group === '')
    throw new UsageError('The id or the group is empty.', { remedies });
  const mustName = (): string => {
    if (name) return name;
    throw new UsageError(`dead ${verb} needs the id of a dead letter.`, { remedies });
  };
  const state = openState();
  if (verb === 'list') {
    const services = servicesNamed(name ?? options.service);
    return withDeadQueues(getBrokerUrl(state), services, async (queues, waiting) =>
      listLetters(queues, waiting, options),
    );
  }
  if (verb === 'show') {
    const id = mustName();
    return withDeadQueues(getBrokerUrl(state), servicesNamed(options.service), async (queues) =>
      showLetter(letterNamed(flattenLetters(queues), id), options),
    );
  }
  if (verb === 'edit') return editLetter(state, mustName(), servicesNamed(options.service), options);
  if (verb === 'replay' || verb === 'discard') return act(verb, name, options);
  throw new UsageError(
    verb ? `"dead" does not know "${verb}".` : 'dead: list, show, edit, replay or discard?',
    {
      remedies,
    },
  );
}
