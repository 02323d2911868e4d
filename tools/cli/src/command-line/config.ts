import { Command } from 'commander';
import type { ChangeOptions, HistoryOptions, ScopeOptions, SetOptions } from '../commands/config.ts';
import { withExitCode } from './exit-code.ts';

const load = () => import('../commands/config.ts');

/** Adds a subcommand for the settings of one service. */
const declareScoped = (config: Command, name: string, description: string, argument = '<service>'): Command =>
  config
    .command(name)
    .description(description)
    .argument(argument, 'the name of a service, or "application" for all')
    .option('--profile <profile>', 'the profile of the settings', 'default')
    .option('--label <label>', 'the label of the settings', 'main');

const declareChange = (config: Command, name: string, description: string): Command =>
  declareScoped(config, name, description).option(
    '-m, --reason <reason>',
    'the reason; stored with the change',
  );

export function declareConfig(): Command {
  const config = new Command('config').description(
    'read and change service settings, with their history and the origin of each value',
  );
  declareScoped(config, 'get', 'show the settings of a service, or all places with settings', '[service]')
    .argument('[key]', 'only this setting')
    .option('--json', 'print JSON')
    .action(
      withExitCode(async (service: string | undefined, key: string | undefined, options: ScopeOptions) =>
        (await load()).getSettings(service, key, options),
      ),
    );
  declareChange(config, 'set', 'change settings')
    .argument('[settings...]', 'key=value; for a key without =value, the value is read from stdin')
    .option('--secret', 'encrypt the values; only the service can read them')
    .option('--unset <keys>', 'remove these settings, separated by commas')
    .action(
      withExitCode(async (service: string, settings: string[], options: SetOptions) =>
        (await load()).setSettings(service, settings, options),
      ),
    );
  declareChange(config, 'delete', 'remove settings')
    .argument('<keys...>', 'the settings to delete')
    .action(
      withExitCode(async (service: string, keys: string[], options: ChangeOptions) =>
        (await load()).deleteSettings(service, keys, options),
      ),
    );
  declareScoped(config, 'history', 'list the versions of the settings, or compare two versions')
    .option('--from <N>', 'the first version to compare')
    .option('--to <N>', 'the second version to compare')
    .option('--json', 'print JSON')
    .action(
      withExitCode(async (service: string, options: HistoryOptions) =>
        (await load()).showHistory(service, options),
      ),
    );
  declareChange(config, 'rollback', 'restore the settings of an earlier version, as a new version')
    .option('--to <N>', 'the version to restore')
    .action(
      withExitCode(async (service: string, options: ChangeOptions & { to?: string }) =>
        (await load()).rollBackSettings(service, options),
      ),
    );
  declareScoped(config, 'explain', 'show the values in force in each instance, and where they come from')
    .argument('[key]', 'only this setting')
    .option('--json', 'print JSON')
    .action(
      withExitCode(async (service: string, key: string | undefined, options: ScopeOptions) =>
        (await load()).explainSettings(service, key, options),
      ),
    );
  return config;
}
