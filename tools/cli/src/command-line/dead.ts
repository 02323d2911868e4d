import { Command } from 'commander';
import type { ListOptions, SelectOptions } from '../commands/dead.ts';
import { withExitCode } from './exit-code.ts';

const idText = 'the id of a dead letter, or the beginning of it';
const serviceOption = ['--service <service>', 'only dead letters of this service'] as const;
const groupOption = [
  '--group <group>',
  'a group of dead list, a message type, or the beginning of a cause',
] as const;
const load = () => import('../commands/dead.ts');

export function declareDead(): Command {
  const dead = new Command('dead').description(
    'list, show, edit, replay or discard dead letters (messages that failed)',
  );
  dead
    .command('list')
    .description('list the dead letters by service, type and cause')
    .argument('[service]', 'the name of a service (default: all)')
    .option(...serviceOption)
    .option(...groupOption)
    .option('--json', 'print JSON')
    .action(
      withExitCode(async (service: string | undefined, options: ListOptions) =>
        (await load()).listDeadLetters({ ...options, service: service ?? options.service }),
      ),
    );
  dead
    .command('show')
    .description('show one dead letter with its data, headers and stack')
    .argument('<id>', idText)
    .option(...serviceOption)
    .option('--json', 'print JSON')
    .action(
      withExitCode(async (id: string, options: ListOptions) => (await load()).showDeadLetter(id, options)),
    );
  dead
    .command('edit')
    .description('change the data of one dead letter; replaying it is a separate step')
    .argument('<id>', idText)
    .option(...serviceOption)
    .option('--data <file>', 'the new data, instead of $EDITOR; - reads stdin')
    .action(
      withExitCode(async (id: string, options: { service?: string; data?: string }) =>
        (await load()).editDeadLetter(id, options),
      ),
    );
  declareSelection(dead.command('replay'), 'replay')
    .description('send dead letters to the queues in which they failed')
    .option('--rate <N>', 'messages per second', '50');
  declareSelection(dead.command('discard'), 'discard').description('delete dead letters permanently');
  return dead;
}

const declareSelection = (command: Command, what: 'replay' | 'discard'): Command =>
  command
    .argument('[id]', idText)
    .option(...groupOption)
    .option('--all', 'every dead letter')
    .option(...serviceOption)
    .option('-y, --yes', 'skip the confirmation')
    .action(
      withExitCode(async (id: string | undefined, options: SelectOptions) =>
        (await load()).replayOrDiscard(what, id, options),
      ),
    );
